"""Users and their passwords."""

import msgspec

from tams_gateway.auth.principal import Principal
from tams_gateway.auth.provider import AuthProvider, Credentials
from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context, Provider, hookimpl


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `[[auth]]` section."""


class Basic:
    """Users and their passwords."""

    challenge = 'Basic realm="tams"'

    def __init__(self, settings: Settings, context: Context) -> None:
        self._context = context

    def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return whom the credentials belong to."""
        return None

    def check(self) -> Health:
        """Say that nothing is checked yet."""
        return Health(True, "")

    def close(self) -> None:
        """Release nothing."""


@hookimpl
def tams_auth_provider() -> Provider[AuthProvider]:
    """Register the provider."""
    return Provider("basic", Settings, Basic, "Users and their passwords.", api=1)
