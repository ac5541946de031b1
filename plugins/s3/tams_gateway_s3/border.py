"""The border to botocore: its errors become ours, with what to do about them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
)
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]
from urllib3.exceptions import HTTPError

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import FullError, MissingError, StoreError

_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound", "MethodNotAllowed"})
_FULL: Final = frozenset(
    {"507", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "NoSpaceLeft"}
)
_PERMIT: Final = "let the access key read, write, list and delete in the bucket"

MAKE_BUCKET: Final = "make it: tams-gateway s3 init, or create_bucket = true"

_REMEDIES: Final = {
    "NoSuchBucket": MAKE_BUCKET,
    "AccessDenied": _PERMIT,
    "403": _PERMIT,
    "InvalidAccessKeyId": "check access_key",
    "SignatureDoesNotMatch": "check secret_key, region and the clock of this machine",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "ExpiredToken": "give new credentials: these have expired",
    "SlowDown": "the server is at its limit: it is asked again later",
}

NO_CREDENTIALS: Final = "no credentials; give access_key and secret_key, or a profile"


def failed(error: StoreError) -> Health:
    """Return the health that an error of the store tells, whose message ends in the remedy."""
    detail, _, remedy = str(error).rpartition("; ")
    return Health(False, detail, remedy)


def code_of(error: BaseException | None) -> str:
    """Return the code that the server answered, `""` where the error is no answer."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def border(what: str) -> Iterator[None]:
    """Raise `MissingError`, `FullError` or `StoreError` for what botocore raises in the block.

    `what` names the store in messages, which end in what to do. The cause is botocore's error.
    """
    try:
        yield
    except ClientError as error:
        raise _answered(what, error) from error
    except NoCredentialsError as error:
        raise StoreError(f"{what}: {NO_CREDENTIALS}") from error
    except (CredentialRetrievalError, RuntimeError) as error:
        # What refreshes credentials raises a plain RuntimeError where new ones are expired.
        told = " ".join(str(error).split())
        raise StoreError(f"{what}: no valid credentials: {told}; renew them") from error
    except (ResponseParserError, KeyError, TypeError, AttributeError, ValueError) as error:
        # botocore takes what a server answers for what it should answer.
        raise StoreError(f"{what}: answered nonsense: {error!r}; is this an S3 server?") from error
    except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
        raise StoreError(f"{what}: does not answer: {error}; is its server up?") from error


def tagged(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is the answer of an S3 server, for use inside a `border`.

    Others answer 200 as well, and botocore takes it for what it wants; but they give no entity tag.
    """
    answer["ETag"]
    return answer


def _answered(what: str, error: ClientError) -> StoreError:
    code = code_of(error)
    status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    if code in _MISSING:
        return MissingError(f"{what}: nothing is there ({code})")
    if code in _FULL or status == "507":
        return FullError(f"{what}: has no room left ({code}); make room, or raise its quota")
    message = error.response.get("Error", {}).get("Message", "")
    remedy = _REMEDIES.get(code) or (_PERMIT if status == "403" else "see the log of its server")
    return StoreError(f"{what}: {code or status}: {message}; {remedy}")
