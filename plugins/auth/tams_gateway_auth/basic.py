"""Users with passwords, in the header `Authorization: Basic`."""

import binascii
from base64 import b64decode
from collections.abc import Sequence

import click

from tams_gateway.auth.principal import Principal
from tams_gateway.auth.provider import AuthProvider, Credentials, DeniedError
from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway_auth.records import check_realm, health
from tams_gateway_auth.user_commands import user
from tams_gateway_auth.users import USERS, Users, UserSettings


class Settings(UserSettings, frozen=True, forbid_unknown_fields=True):
    """The options of an `[[auth]]` section."""

    realm: str = "tams"
    """Shown in the challenge."""

    def __post_init__(self) -> None:
        """Check realm, names and hashes. Raises ValueError."""
        super().__post_init__()
        check_realm(self.realm)


class Basic:
    """Tells users by name and password."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self.challenge = f'Basic realm="{settings.realm}", charset="UTF-8"'
        self._context = context
        self._users = Users(context, settings)

    def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return whom name and password belong to. Raises `DeniedError`, `StoreError`."""
        scheme, _, value = (credentials.authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        name, password = name_and_password(value)
        return self._users.verify(name, password, credentials.peer, credentials.request_id)

    def waits(self, credentials: Credentials) -> bool:
        """Whether a password is to be verified."""
        return (credentials.authorization or "")[:6].lower() == "basic "

    def check(self) -> Health:
        """Say whether there are users."""
        if self._users.configured:
            return Health(True, f"{len(self._users.configured)} users in the config")
        return health(self._context, USERS, "users", "tams-gateway user add NAME")

    def close(self) -> None:
        """Release nothing."""


def name_and_password(value: str) -> tuple[str, str]:
    """Return what stands behind `Basic` (RFC 7617). Raises `DeniedError` for anything else."""
    try:
        name, colon, password = b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise DeniedError("expected name:password in UTF-8 and base64") from error
    if not colon:
        raise DeniedError("expected a colon between name and password")
    return name, password


@hookimpl
def tams_auth_provider() -> Provider[AuthProvider]:
    """Register the provider."""
    summary = "Users and their passwords."
    return Provider("basic", Settings, Basic, summary, api=1, blocks=False)


@hookimpl
def tams_commands() -> Sequence[click.Command]:
    """Register the commands."""
    return [user]
