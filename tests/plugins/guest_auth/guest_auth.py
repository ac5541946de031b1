"""A guest: an auth provider that knows principals by a key in a header of its own."""

import hmac
from collections.abc import Mapping

import msgspec

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import AuthProvider, Credentials, DeniedError
from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context, Provider, Secret, hookimpl


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`keys` holds the key of each principal, `groups` the groups of those that are in some.

    All of them get the same scopes.
    """

    keys: Mapping[str, Secret]
    header: str = "x-api-key"
    scopes: tuple[Scope, ...] = tuple(Scope)
    groups: Mapping[str, tuple[str, ...]] = {}


class ApiKeys:
    """Tells principals by the header; a request without it is not for this provider."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._settings = settings
        self._log = context.log
        self.header = settings.header
        self.challenge = f'ApiKey header="{settings.header}"'

    def authenticate(self, credentials: Credentials) -> Principal | None:
        key = credentials.headers.get(self.header)
        if key is None:
            return None
        for name, secret in self._settings.keys.items():
            if hmac.compare_digest(secret.value.encode(), key.encode()):
                groups = frozenset(self._settings.groups.get(name, ()))
                return Principal(name, frozenset(self._settings.scopes), groups)
        self._log.info("key_refused", peer=credentials.peer)
        raise DeniedError("unknown API key")

    def check(self) -> Health:
        return Health(True, f"{len(self._settings.keys)} keys")

    def close(self) -> None:
        self._log.info("closed")


@hookimpl
def tams_auth_provider() -> Provider[AuthProvider]:
    """Register the provider."""
    return Provider("guest-auth", Settings, ApiKeys, "API keys in a header.", api=1, blocks=False)
