"""Bearer tokens: JSON web tokens of an identity provider or of our issuer, and API tokens."""

import functools
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from tams_gateway.auth.principal import Principal
from tams_gateway.auth.provider import AuthProvider, Credentials, DeniedError
from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context, PluginRoute, Provider, Secret, hookimpl
from tams_gateway_auth import tokens
from tams_gateway_auth.claims import ClaimNames
from tams_gateway_auth.issuer import ISSUER, Issuer, IssuerSettings
from tams_gateway_auth.issuer_routes import IssuerRoutes
from tams_gateway_auth.jwks import FetchedKeys, FileKeys, HttpFetch, KeySource
from tams_gateway_auth.records import check_realm
from tams_gateway_auth.shared_secret import key_of
from tams_gateway_auth.verification import (
    Algorithm,
    Rules,
    Unverified,
    VerifyingKey,
    read,
    verify,
)

_TRUSTED: Final = 4.0
"""How long a verified token is trusted without another look, in seconds: within 5 s it is known
that one was revoked."""

_MOST: Final = 10_000
"""Verified tokens remembered at once."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `[[auth]]` section."""

    secret: Secret | None = None
    """The secret shared with whoever signs tokens: HS256 from 32 bytes, HS384 from 48, HS512 from
    64."""
    jwks_url: str | None = None
    """The URL of the identity provider's public keys."""
    jwks_file: str | None = None
    """A file with the public keys instead; read again when it changes."""
    jwks_refresh: Annotated[int, msgspec.Meta(ge=1)] = 300
    """Seconds between fetches of the keys in the background."""
    jwks_pause: Annotated[int, msgspec.Meta(ge=1)] = 10
    """Seconds at least between fetches for the sake of unknown keys."""
    ca_bundle: str | None = None
    """The certificates to trust for `jwks_url`, a PEM file; by default those of the system."""
    algorithms: tuple[Algorithm, ...] = ()
    """The algorithms to accept; by default all that the keys allow."""
    issuer: str | None = None
    """Whose tokens are accepted; those of others are left to the next provider."""
    audience: str | None = None
    """For whom a token must be; by default that is not looked at."""
    leeway: Annotated[int, msgspec.Meta(ge=0)] = 30
    """How far clocks may differ, in seconds."""
    name_claims: tuple[str, ...] = ("username", "sub", "client_id")
    """Claims with the name of the principal, the first that is there counts."""
    scope_claims: tuple[str, ...] = ("scope", "scp")
    """Claims with the scopes, likewise."""
    group_claims: tuple[str, ...] = ("cognito:groups", "groups")
    """Claims with the groups, likewise."""
    issue: IssuerSettings | None = None
    """The issuer of our own; off without it."""
    realm: str = "tams"
    """Shown in the challenge."""

    def __post_init__(self) -> None:
        """Check what keys there are. Raises ValueError."""
        check_realm(self.realm)
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("jwks_file: expected only one of jwks_url and jwks_file")
        if self.jwks_url is not None:
            scheme, place, *_ = urlsplit(self.jwks_url)
            # Errors name the URL.
            if scheme not in ("https", "http") or not place or "@" in place:
                raise ValueError("jwks_url: expected a URL of https or http without a password")
        if self.secret is not None:
            able = key_of(self.secret.value).algorithms
            if self.algorithms and not self._public and able.isdisjoint(self.algorithms):
                raise ValueError("algorithms: the secret is too short for any of them")

    @property
    def _public(self) -> bool:
        return self.jwks_url is not None or self.jwks_file is not None


class Bearer:
    """Tells principals by the token behind `Bearer`."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self.challenge = f'Bearer realm="{settings.realm}"'
        self._context = context
        self._names = ClaimNames(settings.name_claims, settings.scope_claims, settings.group_claims)
        self._rules = Rules(settings.issuer, settings.audience, settings.leeway)
        self._secret = [] if settings.secret is None else [key_of(settings.secret.value)]
        self._public = _key_source(settings, context)
        self._algorithms = frozenset(settings.algorithms)
        self._issuer = None if settings.issue is None else Issuer(context, settings.issue)
        self._verified = Verified(context.now)

    def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return whom a token is for, None for other credentials and tokens of other issuers.

        Raises `DeniedError`, and `StoreError` where the keys cannot be had.
        """
        token = _token(credentials)
        if token is None:
            return None
        known = self._verified.find(token)
        if known is not None:
            return known
        return self._verify(token) if token.count(".") == 2 else self._opaque(token, credentials)

    def waits(self, credentials: Credentials) -> bool:
        """Whether a token is to be verified, or looked up."""
        token = _token(credentials)
        return token is not None and self._verified.find(token) is None

    def routes(self) -> Sequence[PluginRoute]:
        """Return the routes of the issuer, if there is one."""
        return [] if self._issuer is None else IssuerRoutes(self._issuer, self._context).routes()

    def check(self) -> Health:
        """Say whether there are keys to verify with."""
        if self._public is not None:
            return self._public.check()
        kinds = {"a shared secret": bool(self._secret), "the built-in issuer": bool(self._issuer)}
        found = [kind for kind, there in kinds.items() if there] or ["API tokens only"]
        return Health(True, " and ".join(found))

    def close(self) -> None:
        """Stop fetching keys."""
        if self._public is not None:
            self._public.close()

    def _opaque(self, token: str, credentials: Credentials) -> Principal:
        """Return whom an API token stands for (R-AUTH-04)."""
        found = tokens.find(self._context, token, credentials.peer, credentials.request_id)
        if found is None:
            raise DeniedError("the token is neither a JSON web token nor an API token")
        return found

    def _verify(self, token: str) -> Principal | None:
        unverified = read(token)
        if self._issuer is not None and unverified.issuer == ISSUER:
            principal, expires = self._issuer.principal(unverified)
            self._verified.add(token, principal, expires)
            return principal
        if self._rules.issuer is not None and unverified.issuer != self._rules.issuer:
            return None
        claims = verify(unverified, self._keys(unverified), self._rules)
        principal = self._names.principal(claims)
        self._verified.add(token, principal, int(claims["exp"]) + self._rules.leeway)
        return principal

    def _keys(self, unverified: Unverified) -> Sequence[VerifyingKey]:
        """Return the keys that may have signed a token. Raises `StoreError`.

        A shared secret is for HS algorithms alone, and public keys for the others.
        """
        if self._algorithms and unverified.algorithm not in self._algorithms:
            raise DeniedError("the token is signed by an algorithm that is not accepted")
        if unverified.algorithm.startswith("HS"):
            return self._secret
        return [] if self._public is None else self._public.find(unverified.key_id)


class Verified:
    """Tokens that were verified a moment ago, by their SHA-256; used by many threads at once."""

    def __init__(
        self, now: Callable[[], float], elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._elapsed = elapsed
        self._found: dict[bytes, tuple[Principal, float, float]] = {}
        self._writing = threading.Lock()

    def find(self, token: str) -> Principal | None:
        """Return whom a token is for, None where it is to be verified again."""
        known = self._found.get(_digest(token))
        if known is None:
            return None
        principal, expires, until = known
        return principal if self._elapsed() < until and self._now() < expires else None

    def add(self, token: str, principal: Principal, expires: float) -> None:
        """Remember a token that was verified; it expires at a time in seconds since 1970."""
        digest = _digest(token)
        with self._writing:
            self._found.pop(digest, None)
            if len(self._found) >= _MOST:
                del self._found[next(iter(self._found))]
            self._found[digest] = (principal, expires, self._elapsed() + _TRUSTED)


def _token(credentials: Credentials) -> str | None:
    """Return what stands behind `Bearer`, None for other credentials."""
    scheme, _, token = (credentials.authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


@functools.lru_cache(maxsize=16)  # A request asks for its token up to three times.
def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _key_source(settings: Settings, context: Context) -> KeySource | None:
    """Open the source of public keys. Raises `OSError`, `ValueError` for a file that is wrong."""
    if settings.jwks_file is not None:
        return FileKeys(Path(settings.jwks_file), context.log)
    if settings.jwks_url is None:
        return None
    if settings.jwks_url.startswith("http://"):
        context.log.warning("jwks_in_clear", url=settings.jwks_url)
    return FetchedKeys(
        HttpFetch(settings.jwks_url, settings.ca_bundle),
        context.log,
        refresh=settings.jwks_refresh,
        pause=settings.jwks_pause,
    )


@hookimpl
def tams_auth_provider() -> Provider[AuthProvider]:
    """Register the provider."""
    summary = "Bearer tokens: JSON web tokens and API tokens."
    return Provider("jwt", Settings, Bearer, summary, api=1, blocks=False)
