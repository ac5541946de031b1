"""API tokens in the URL, as `access_token`."""

from collections.abc import Sequence

import click
import msgspec

from tams_gateway.auth.principal import Principal
from tams_gateway.auth.provider import AuthProvider, Credentials
from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway_auth import tokens
from tams_gateway_auth.records import check_realm, health
from tams_gateway_auth.token_commands import token


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `[[auth]]` section."""

    realm: str = "tams"
    """Shown in the challenge."""

    def __post_init__(self) -> None:
        """Check the realm. Raises ValueError."""
        check_realm(self.realm)


class UrlToken:
    """Tells principals by `access_token` in the query."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self.challenge = f'Bearer realm="{settings.realm}"'
        self._context = context

    def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return whom the token stands for. Raises `DeniedError`, `StoreError`."""
        text = credentials.access_token
        if text is None:
            return None
        return tokens.find(self._context, text, credentials.peer, credentials.request_id)

    def waits(self, credentials: Credentials) -> bool:
        """Whether a token is to be looked up."""
        return credentials.access_token is not None

    def check(self) -> Health:
        """Say whether there are tokens."""
        return health(self._context, tokens.API_TOKENS, "tokens", "tams-gateway token create NAME")

    def close(self) -> None:
        """Release nothing."""


@hookimpl
def tams_auth_provider() -> Provider[AuthProvider]:
    """Register the provider."""
    return Provider("url_token", Settings, UrlToken, "API tokens in the URL.", api=1, blocks=False)


@hookimpl
def tams_commands() -> Sequence[click.Command]:
    """Register the commands."""
    return [token]
