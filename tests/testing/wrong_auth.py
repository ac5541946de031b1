"""Auth providers that are wrong on purpose, each in a way of its own: the kit must catch them.

All of them take the header `X-Key: alice-KEY`; the right key is `right-and-long`.
"""

import time

import msgspec

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import AuthProvider, Credentials, DeniedError
from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.records import Kind

_KEY = "right-and-long"
_USERS = Kind("wrong_user", {})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No options."""


class Right:
    """What the others get wrong: a principal for the key, a denial for any other."""

    challenge = 'Key realm="tams"'

    @classmethod
    @hookimpl
    def tams_auth_provider(cls) -> Provider[AuthProvider]:
        return Provider(cls.__name__, Settings, cls, "Wrong, but for the first.", api=1)

    def __init__(self, settings: Settings, context: Context) -> None:
        assert context.metadata is not None
        self._metadata = context.metadata

    def authenticate(self, credentials: Credentials) -> Principal | None:
        sent = credentials.headers.get("x-key")
        if sent is None:
            return None
        name, _, key = sent.partition("-")
        self._metadata.get(_USERS, [name])
        if name != "alice" or not self.holds(key):
            raise DeniedError("wrong key")
        return Principal(name, frozenset({Scope.READ}))

    def holds(self, key: str) -> bool:
        return key == _KEY

    def check(self) -> Health:
        return Health(True, "")

    def close(self) -> None:
        """Hold nothing."""


class LetsAllIn(Right):
    """Takes a request without credentials for somebody."""

    def authenticate(self, credentials: Credentials) -> Principal | None:
        return super().authenticate(credentials) or Principal("guest", frozenset())


class ComparesStart(Right):
    """Compares only as much of the key as was sent."""

    def holds(self, key: str) -> bool:
        return bool(key) and _KEY.startswith(key)


class Echoes(Right):
    """Tells what was sent."""

    def authenticate(self, credentials: Credentials) -> Principal | None:
        try:
            return super().authenticate(credentials)
        except DeniedError as error:
            raise DeniedError(f"wrong key {credentials.headers['x-key']}") from error


class Breaks(Right):
    """Takes what is sent for what it expects."""

    def authenticate(self, credentials: Credentials) -> Principal | None:
        if credentials.authorization is not None:
            _scheme, _value = credentials.authorization.split(" ")
        return super().authenticate(credentials)


class DeniesWhenStoreIsAway(Right):
    """Takes a store that is away for a user who is not there."""

    def authenticate(self, credentials: Credentials) -> Principal | None:
        try:
            return super().authenticate(credentials)
        except StoreError as error:
            raise DeniedError("unknown user") from error


class RemembersOne(Right):
    """Keeps what it is at in the one provider that all threads share."""

    def authenticate(self, credentials: Credentials) -> Principal | None:
        self._sent = credentials
        time.sleep(0.001)
        return super().authenticate(self._sent)
