"""The border to the SDK: whatever it raises becomes a `StoreError` that says what to do."""

import ssl
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa  # type: ignore[import-untyped]
import urllib3
from vastdb import errors  # type: ignore[import-untyped]
from vastdb._internal import QueryDataInternalError  # type: ignore[import-untyped]

from tams_gateway.storage.errors import FullError, StoreError


class Rival(StoreError):
    """Another transaction was faster: this one is to be rolled back and begun anew."""


class Away(StoreError):
    """No answer, or none that tells: nobody knows whether the request was executed.

    Its transaction is to be rolled back by its id, through any endpoint.
    """


class Unsettled(StoreError):
    """No answer to a commit, and no endpoint that tells whether it was made: never try it again."""


class Busy(Away):
    """The cluster is at its limit; the request was not executed."""


class Refused(StoreError):
    """The cluster calls the request wrong; of a transaction that has ended every request is."""


class Absent(Refused):
    """The cluster knows nothing of that name."""


class UnlistedStatus(Exception):
    """A status that the SDK does not know, as the proxies before a cluster answer them."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}".rstrip())
        self.status = status


_TOO_MANY: Final = 429
_FULL: Final = 413

_NONSENSE: Final = (
    pa.ArrowException,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    EOFError,
    struct.error,
)
"""What the SDK raises where it reads an answer that is none of VAST Database."""


@contextmanager
def border(where: str, what: str) -> Iterator[None]:
    """Raise one of the errors of this module, `FullError` or `StoreError` for what the SDK raises.

    `where` names the endpoint, `what` the request. The cause is the SDK's error.
    """
    handled = sys.exception()
    try:
        yield
    except StoreError:
        raise
    except errors.HttpError as error:
        raise _answered(f"{where}: {what}", error) from error
    except UnlistedStatus as error:
        raise _unlisted(f"{where}: {what}: answered {error}", error.status) from error
    except (errors.ConnectionError, urllib3.exceptions.HTTPError, OSError) as error:
        raise _broken(f"{where}: {what}", error, handled) from error
    except QueryDataInternalError as error:
        raise Away(f"{where}: {what}: {error}; see the log of the cluster") from error
    except (errors.InvalidArgument, errors.NotSupported, errors.Missing) as error:
        raise StoreError(f"{where}: {what}: {error}; report it with this line") from error
    except _NONSENSE as error:
        told = f"{where}: {what}: answered nonsense: {error!r}"
        raise Away(f"{told}; is this an endpoint of VAST Database?") from error


def _answered(what: str, error: errors.HttpError) -> StoreError:
    """Return what an answer of the cluster means, by its status."""
    told = f"{what}: {error.status} {error.code or ''} {error.message or ''}".rstrip()
    match error:
        case errors.Conflict():
            return Rival(f"{told}; it is tried again")
        case errors.Slowdown():
            return Busy(f"{told}; the cluster is at its limit: ask it for less, or give it more")
        case errors.InsufficientCapacity():
            return FullError(f"{told}; make room in the cluster, or raise its quota")
        case errors.Forbidden():
            return StoreError(f"{told}; check access_key, secret_key and the user's policies")
        case errors.NotFound():
            return Absent(f"{told}; check bucket and schema, or: tams-gateway vast init")
        case errors.BadRequest():
            return Refused(f"{told}; report it with this line")
        case errors.MethodNotAllowed() | errors.NotImplemented():
            return StoreError(f"{told}; is this VAST Database, of version 5.3 or above?")
    return Away(f"{told}; see the log of the cluster")


def _unlisted(told: str, status: int) -> StoreError:
    if status == _TOO_MANY:
        return Busy(f"{told}; something before the cluster bounds the rate of requests")
    if status == _FULL:
        return Refused(f"{told}; something before the cluster bounds the size of requests")
    return Away(f"{told}; what stands before the cluster does not reach it")


def _broken(what: str, error: BaseException, handled: BaseException | None) -> StoreError:
    """Return what a connection that fails means, by what it began with.

    `handled` is what was being handled before, which every later error has as its context.
    """
    while error.__context__ not in (None, handled):
        error = error.__context__
    remedy = "is the cluster up?"
    if isinstance(error, ssl.SSLError | FileNotFoundError):
        remedy = "check ca_bundle, and that the certificate names this host"
    return Away(f"{what}: {str(error) or type(error).__name__}; {remedy}")
