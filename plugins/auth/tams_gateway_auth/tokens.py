"""API tokens: random texts that stand for a principal, kept as their SHA-256 alone."""

import hashlib
import ipaddress
import secrets
from collections.abc import Iterator
from typing import Final, NoReturn

import msgspec

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import DeniedError
from tams_gateway.plugin import Context
from tams_gateway.storage.changes import ABSENT, Delete, Put
from tams_gateway.storage.errors import ConflictError, StoreError
from tams_gateway.storage.records import Kind
from tams_gateway_auth import records

API_TOKENS: Final = Kind("api_tokens", {})
"""API tokens by the SHA-256 of their text, in hexadecimal."""

SHOWN: Final = 12
"""The digits of an id by which people name a token."""

_PREFIX: Final = "tams_"
"""By this, people and scanners of leaked secrets know what it is."""

_RANDOM_BYTES: Final = 32
_USE_KEPT: Final = 60
"""The last use is written at most once in so many seconds."""


class ApiToken(msgspec.Struct, frozen=True):
    """A token: whom it stands for, and where and until when it holds.

    Times are in seconds since 1970; without `expires` it holds until it is revoked, without
    `networks` from everywhere.
    """

    name: str
    scopes: frozenset[Scope]
    groups: frozenset[str]
    networks: tuple[str, ...]
    created: int
    expires: int | None = None
    used: int | None = None

    @property
    def principal(self) -> Principal:
        """Whom it stands for."""
        return Principal(self.name, self.scopes, self.groups)

    def refusal(self, now: float, peer: str) -> str | None:
        """Return why it does not hold at this time from this address, None where it does."""
        if self.expires is not None and now >= self.expires:
            return "expired"
        if self.networks and not self._allows(peer):
            return "not allowed from this address"
        return None

    def _allows(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:  # A Unix socket has no address.
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in ipaddress.ip_network(one, strict=False) for one in self.networks)


_decode = msgspec.json.Decoder(ApiToken).decode


def create(context: Context, token: ApiToken) -> str:
    """Keep a new token and return its text, which nobody can read again. Raises `StoreError`."""
    text = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    id_ = _id(text)
    records.store(context).apply([_put(id_, token, ABSENT)])
    context.note(AuthEntry("token_created", token.name, detail=id_[:SHOWN]))
    return text


def find(context: Context, text: str, peer: str, request_id: str = "") -> Principal:
    """Return whom a token stands for; a failure is noted.

    Raises `DeniedError` for one that is unknown, has expired or is used from elsewhere, and
    `StoreError`.
    """
    id_, now = _id(text), context.now()
    record = records.store(context).get(API_TOKENS, [id_]).get(id_)
    if record is None:
        _deny(context, "", "unknown", peer, request_id)
    token = _decode(record.body)
    refusal = token.refusal(now, peer)
    if refusal is not None:
        _deny(context, token.name, refusal, peer, request_id)
    if token.used is None or now >= token.used + _USE_KEPT:
        _keep_use(context, id_, msgspec.structs.replace(token, used=int(now)), record.version)
    return token.principal


def every(context: Context) -> Iterator[tuple[str, ApiToken]]:
    """Go through all tokens and their ids. Raises `StoreError`."""
    for record in records.every(records.store(context), API_TOKENS):
        yield record.id, _decode(record.body)


def revoke(context: Context, id_: str, token: ApiToken) -> None:
    """Remove a token, which holds from now on in no process. Raises `StoreError`."""
    records.store(context).apply([Delete(API_TOKENS, id_)])
    context.note(AuthEntry("token_revoked", token.name, detail=id_[:SHOWN]))


def _keep_use(context: Context, id_: str, token: ApiToken, version: int) -> None:
    """Write when a token was used; a store that takes no writes keeps nobody from reading."""
    try:
        records.store(context).apply([_put(id_, token, version)])
    except ConflictError:
        return  # Another request wrote it, or the token is gone.
    except StoreError as error:
        context.log.warning("last_use_not_kept", token=token.name, error=str(error))


def _id(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _put(id_: str, token: ApiToken, expect: int) -> Put:
    return Put(API_TOKENS, id_, msgspec.json.encode(token), expect=expect)


def _deny(context: Context, name: str, reason: str, peer: str, request_id: str) -> NoReturn:
    """Note why, which is for the operator's eyes, and refuse."""
    context.note(AuthEntry("failure", name, peer, request_id, f"API token: {reason}"))
    raise DeniedError("unknown or expired token", noted=True)
