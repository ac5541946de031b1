"""Tokens of our issuer that hold no more, kept until they would have expired."""

from collections.abc import Sequence
from typing import Final

from tams_gateway.storage.changes import Delete, Put
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Below, Query
from tams_gateway.storage.records import FieldType, Kind

REVOKED_TOKENS: Final = Kind("revoked_tokens", {"expires": FieldType.INT})
"""Revoked access tokens by `jti`, and families of refresh tokens with all that came of them;
`expires` is when the record may go, in seconds since 1970."""

_BATCH: Final = 500


def revoke(metadata: MetadataStore, id_: str, expires: int) -> None:
    """End a token or a family. Raises `StoreError`."""
    metadata.apply([Put(REVOKED_TOKENS, id_, b"{}", {"expires": expires})])


def revoked(metadata: MetadataStore, ids: Sequence[str]) -> bool:
    """Whether one of the tokens or families was ended. Raises `StoreError`."""
    return bool(metadata.get(REVOKED_TOKENS, ids))


def forget_expired(metadata: MetadataStore, kind: Kind, now: float) -> bool:
    """Remove records whose `expires` has passed, and tell whether more are left."""
    page = metadata.find(Query(kind, (Below("expires", int(now)),), limit=_BATCH))
    metadata.apply([Delete(kind, record.id) for record in page.items])
    return page.more
