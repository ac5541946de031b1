"""Refresh tokens: each is used once and brings the next; one used twice ends its whole family."""

import hashlib
import secrets
from typing import Final

import msgspec

from tams_gateway.auth.principal import Scope
from tams_gateway.storage.changes import ABSENT, Put
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.records import FieldType, Kind

REFRESH_TOKENS: Final = Kind("refresh_tokens", {"expires": FieldType.INT})
"""Refresh tokens by the SHA-256 of their text, in hexadecimal; used ones stay until they expire."""

_RANDOM_BYTES: Final = 32


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token: for whom it brings access tokens, and until when.

    `family` is that of all that come of one login, `stamp` that of the user's password at the
    login, `client` who logged in on the user's behalf, if anybody did. `expires` is in seconds
    since 1970.
    """

    family: str
    user: str
    stamp: str
    client: str | None
    scopes: frozenset[Scope]
    expires: int
    used: bool = False


class Stored(msgspec.Struct, frozen=True):
    """A refresh token as it was found, and the version that it had."""

    id: str
    version: int
    token: RefreshToken


_decode = msgspec.json.Decoder(RefreshToken).decode


def create(metadata: MetadataStore, token: RefreshToken) -> str:
    """Keep the first token of a family and return its text. Raises `StoreError`."""
    text = secrets.token_urlsafe(_RANDOM_BYTES)
    metadata.apply([_put(_id(text), token, ABSENT)])
    return text


def find(metadata: MetadataStore, text: str, now: float) -> Stored | None:
    """Return the token of a text, None for one that never was or has expired.

    Raises `StoreError`.
    """
    id_ = _id(text)
    record = metadata.get(REFRESH_TOKENS, [id_]).get(id_)
    if record is None:
        return None
    token = _decode(record.body)
    return Stored(id_, record.version, token) if now < token.expires else None


def rotate(metadata: MetadataStore, stored: Stored, expires: int) -> str:
    """Use a token up and return the text of the next.

    Raises `ConflictError` if somebody else just used it, and `StoreError`.
    """
    text = secrets.token_urlsafe(_RANDOM_BYTES)
    used = msgspec.structs.replace(stored.token, used=True)
    following = msgspec.structs.replace(stored.token, expires=expires)
    metadata.apply([_put(stored.id, used, stored.version), _put(_id(text), following, ABSENT)])
    return text


def _id(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _put(id_: str, token: RefreshToken, expect: int) -> Put:
    body = msgspec.json.encode(token)
    return Put(REFRESH_TOKENS, id_, body, {"expires": token.expires}, expect)
