"""Named secret keys, made at the first start and shared by every process on the store."""

import secrets
from contextlib import suppress

import msgspec

from tams_gateway.operations.kinds import KEY
from tams_gateway.storage.changes import ABSENT, Put
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.metadata import MetadataStore


class _Key(msgspec.Struct, frozen=True):
    key: bytes


_decoder = msgspec.json.Decoder(_Key)


def named(metadata: MetadataStore, name: str) -> bytes:
    """Return the 32 secret bytes of that name; processes that race to make them agree.

    Raises `StoreError` if the store fails.
    """
    stored = metadata.get(KEY, [name])
    if name not in stored:
        body = msgspec.json.encode(_Key(secrets.token_bytes(32)))
        with suppress(ConflictError):  # Another process was faster: its key is the one.
            metadata.apply([Put(KEY, name, body, expect=ABSENT)])
        stored = metadata.get(KEY, [name])
    return _decoder.decode(stored[name].body).key
