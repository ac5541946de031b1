"""The contract of auth providers."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from tams_gateway.auth.principal import Principal
from tams_gateway.domain.health import Health


class Credentials(msgspec.Struct, frozen=True):
    """What a request brought to say who it is for; header names are in lower case."""

    authorization: str | None
    access_token: str | None
    headers: Mapping[str, str]
    peer: str
    """The address of the client, behind trusted proxies; `""` where it has none (a Unix socket)."""
    request_id: str = ""
    """The id of the request, for the log of logins."""


class DeniedError(Exception):
    """These credentials are of the provider's kind, and wrong (401).

    `noted` says that the provider wrote it into the log of logins itself. `guess` is false for what
    nobody can guess, as a signed token that has expired: such ones do not count as failed logins.
    """

    def __init__(self, reason: str, *, noted: bool = False, guess: bool = True) -> None:
        super().__init__(reason)
        self.noted = noted
        self.guess = guess


class AuthProvider(Protocol):
    """Tells whom credentials belong to. Called by many threads at once."""

    challenge: str
    """The value for `WWW-Authenticate` in a 401, as in `Bearer realm="tams"`."""

    def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return the principal, or None if the credentials are of another kind.

        Raises `DeniedError` if they are of this kind and wrong, `StoreError` if whoever it asks
        does not answer (503). Anything else that it raises is a fault of the gateway (500).
        """

    def check(self) -> Health:
        """Say whether the provider works; does not raise."""

    def close(self) -> None:
        """Release what is held; no call follows."""


@runtime_checkable
class MayWait(Protocol):
    """A provider that says `blocks=False`, and has to wait for some credentials all the same.

    So a token that it verified a moment ago costs ASGI no thread.
    """

    def waits(self, credentials: Credentials) -> bool:
        """Whether `authenticate` may have to wait for these; neither waits itself nor raises."""


@runtime_checkable
class UsesHeader(Protocol):
    """A provider whose credentials come in a header of its own, beside `Authorization`.

    A request that has it and other credentials is refused (400).
    """

    header: str
    """The name, in lower case."""
