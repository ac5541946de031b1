"""The auth providers of the config, asked in order."""

from collections.abc import Sequence

from tams_gateway.auth.principal import ANYBODY, Principal
from tams_gateway.auth.provider import AuthProvider, Credentials, DeniedError
from tams_gateway.domain.errors import Invalid, Unauthenticated


class Chain:
    """Tells whom a request is for: the first provider that knows the credentials answers."""

    def __init__(self, providers: Sequence[AuthProvider]) -> None:
        self._providers = tuple(providers)
        challenges = dict.fromkeys(provider.challenge for provider in providers)
        self._challenge = {"WWW-Authenticate": ", ".join(challenges)}

    @property
    def open(self) -> bool:
        """Whether there is no provider, so that anybody may do anything."""
        return not self._providers

    def authenticate(self, credentials: Credentials) -> Principal:
        """Return whom the credentials belong to; without providers nobody looks at them (B20).

        Raises `Invalid` for two different credentials in one request, and `Unauthenticated`,
        with the challenge of every provider, for missing or wrong ones (R-AUTH-02).
        """
        if not self._providers:
            return ANYBODY
        _refuse_two(credentials)
        try:
            for provider in self._providers:
                principal = provider.authenticate(credentials)
                if principal is not None:
                    return principal
        except DeniedError as error:
            raise Unauthenticated(f"credentials refused: {error}", self._challenge) from error
        raise Unauthenticated("credentials needed", self._challenge)


def _refuse_two(credentials: Credentials) -> None:
    """Refuse a header and an `access_token` that say different things: none of them counts more."""
    authorization, token = credentials.authorization, credentials.access_token
    if authorization is None or token is None:
        return
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "bearer" or value.strip() != token:
        raise Invalid.parameter("access_token", "differs from the Authorization header")
