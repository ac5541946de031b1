"""The issuer of our own: short-lived access tokens for users, and what ends them early."""

import hashlib
import time
import uuid
from typing import Annotated, Final

import jwt
import msgspec

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import DeniedError
from tams_gateway.plugin import Context
from tams_gateway_auth import records, refresh_tokens, revocation
from tams_gateway_auth.claims import known_scopes, scope_text
from tams_gateway_auth.refresh_tokens import REFRESH_TOKENS, RefreshToken, Stored
from tams_gateway_auth.revocation import REVOKED_TOKENS
from tams_gateway_auth.users import Positive, User, Users, UserSettings
from tams_gateway_auth.verification import Rules, Unverified, VerifyingKey, read, verify

ISSUER: Final = "tams-gateway"
"""What our tokens name as their issuer."""

_ALGORITHM: Final = "HS256"
_RING: Final = "jwt"
_RULES: Final = Rules(ISSUER, leeway=10)
"""The machines that share a store also share the time, nearly."""

_SWEEP: Final = 60.0
"""Seconds between looks for what has expired."""


class IssuerSettings(UserSettings, frozen=True):
    """How long tokens last; the options of users are those of the provider `basic`."""

    lifetime: Positive = 3600
    """How long an access token holds, in seconds."""
    refresh_lifetime: Annotated[int, msgspec.Meta(ge=1)] = 1_209_600
    """How long a refresh token can be used, in seconds."""


class Granted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a token request (RFC 6749, 5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | None = None


class Issuer:
    """Makes tokens for users and says whose a token is; called by many threads at once.

    A token ends before its time when it is revoked, with its family of refresh tokens, and when
    its user is removed, suspended, or gets another password. What the user may do is looked up,
    so a scope that is taken away is gone from tokens too.
    """

    def __init__(self, context: Context, settings: IssuerSettings) -> None:
        self.users = Users(context, settings)
        self._context = context
        self._store = records.store(context)
        self._settings = settings
        self._ring = context.keys(_RING)
        self._swept = float("-inf")

    def log_in(self, user: User, scopes: frozenset[Scope], client: str | None) -> Granted:
        """Return tokens for a user who logged in, also one to refresh. Raises `StoreError`."""
        token = RefreshToken(
            family=_new_id(),
            user=user.name,
            stamp=_stamp(user),
            client=client,
            scopes=scopes,
            expires=self._refresh_end(),
        )
        text = refresh_tokens.create(self._store, token)
        return self._granted(user, scopes, token.family, text)

    def grant(self, user: User, scopes: frozenset[Scope]) -> Granted:
        """Return an access token alone, for a client in its own name. Raises `StoreError`."""
        return self._granted(user, scopes, None, None)

    def refresh(self, stored: Stored, user: User, scopes: frozenset[Scope]) -> Granted:
        """Use a refresh token up and return new tokens.

        Raises `ConflictError` if somebody else just used it, and `StoreError`.
        """
        text = refresh_tokens.rotate(self._store, stored, self._refresh_end())
        return self._granted(user, scopes, stored.token.family, text)

    def found(self, text: str) -> Stored | None:
        """Return the refresh token of a text, None for an unknown one. Raises `StoreError`."""
        return refresh_tokens.find(self._store, text, self._context.now())

    def holder(self, token: RefreshToken) -> User:
        """Return the user of a refresh token. Raises `DeniedError` where it was ended."""
        return self._holder(token.user, token.stamp, [token.family])

    def end_family(self, family: str) -> None:
        """End all refresh tokens of a login, and the access tokens that came of them."""
        longest = max(self._settings.refresh_lifetime, self._settings.lifetime)
        revocation.revoke(self._store, family, self._in(longest + self._settings.lifetime))

    def end(self, text: str) -> str | None:
        """End an access token of ours, and return the name of its user; None for any other text.

        Raises `StoreError`.
        """
        try:
            unverified = read(text)
            claims = verify(unverified, self._keys(unverified), _RULES)
        except DeniedError:
            return None
        revocation.revoke(self._store, claims["jti"], claims["exp"] + 1)
        return str(claims["sub"])

    def principal(self, unverified: Unverified) -> tuple[Principal, int]:
        """Return whom a token of ours is for, and when it expires, in seconds since 1970.

        Raises `DeniedError` and `StoreError`.
        """
        claims = verify(unverified, self._keys(unverified), _RULES)
        ids = [claims["jti"], *([claims["family"]] if "family" in claims else [])]
        user = self._holder(claims["sub"], claims["stamp"], ids)
        scopes = user.scopes & known_scopes(claims["scope"].split())
        return Principal(user.name, scopes, user.groups), claims["exp"]

    def _granted(
        self, user: User, scopes: frozenset[Scope], family: str | None, refresh: str | None
    ) -> Granted:
        self._sweep()
        now, lifetime, key = int(self._context.now()), self._settings.lifetime, self._ring.newest
        claims: dict[str, object] = {
            "iss": ISSUER,
            "sub": user.name,
            "scope": scope_text(scopes),
            "iat": now,
            "exp": now + lifetime,
            "jti": _new_id(),
            "stamp": _stamp(user),
        }
        if family is not None:
            claims["family"] = family
        headers = {"kid": key.id, "typ": "at+jwt"}
        token = jwt.encode(claims, key.secret, _ALGORITHM, headers)
        return Granted(token, "Bearer", lifetime, scope_text(scopes), refresh)

    def _keys(self, unverified: Unverified) -> list[VerifyingKey]:
        """Return the key of the ring that a token names. Raises `StoreError`."""
        key = self._ring.find(unverified.key_id) if unverified.key_id else None
        return [] if key is None else [VerifyingKey(key.secret, frozenset({_ALGORITHM}))]

    def _holder(self, name: str, stamp: str, ids: list[str]) -> User:
        user = self.users.find(name)
        if not user.password or user.suspended or _stamp(user) != stamp:
            raise DeniedError("the user of the token may not log in any more", guess=False)
        if revocation.revoked(self._store, ids):
            raise DeniedError("the token was revoked", guess=False)
        return user

    def _refresh_end(self) -> int:
        return self._in(self._settings.refresh_lifetime)

    def _in(self, seconds: int) -> int:
        return int(self._context.now()) + seconds

    def _sweep(self) -> None:
        """Remove some of what has expired, now and then."""
        if time.monotonic() >= self._swept + _SWEEP:
            now = self._context.now()
            kinds = (REFRESH_TOKENS, REVOKED_TOKENS)
            left = [revocation.forget_expired(self._store, kind, now) for kind in kinds]
            self._swept = float("-inf") if any(left) else time.monotonic()


def _stamp(user: User) -> str:
    """Return what changes with the password: its hash is salted, and cannot be had from this."""
    return hashlib.sha256(user.password.encode()).hexdigest()[:16]


def _new_id() -> str:
    return uuid.uuid4().hex
