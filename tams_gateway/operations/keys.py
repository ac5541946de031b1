"""Named rings of secret keys, made at the first start and shared by every process on the store.

A rotated ring is known everywhere before its new key signs: what one process signs is then never
refused by another that read the ring a moment ago.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations.kinds import KEY
from tams_gateway.storage.changes import ABSENT, Put
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.key_ring import Key, KeyRing
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import After, Query
from tams_gateway.storage.records import Record

_SIZE: Final = 32

SIGNS_AFTER: Final = 5
"""Seconds after which a new key signs: longer than a process keeps a ring, and clocks differ."""


class StoredKey(msgspec.Struct, frozen=True):
    """A key of a ring as it is kept, with when it was made."""

    id: str
    secret: bytes
    created: str


class _Ring(msgspec.Struct, frozen=True):
    keys: tuple[StoredKey, ...]


_decoder = msgspec.json.Decoder(_Ring)


def ring(metadata: MetadataStore, now_ns: Callable[[], int], name: str) -> KeyRing:
    """Return the ring of that name; its first key is made when somebody asks for one."""
    return KeyRing(partial(_keys, metadata, now_ns, name))


def rings(metadata: MetadataStore) -> dict[str, Sequence[StoredKey]]:
    """Return all rings that were ever asked for, by name. Raises `StoreError`."""
    found: dict[str, Sequence[StoredKey]] = {}
    query = Query(KEY)
    while True:
        page = metadata.find(query)
        found.update((record.id, _decoder.decode(record.body).keys) for record in page.items)
        if not page.more:
            return found
        query = msgspec.structs.replace(query, after=After(None, page.items[-1].id))


def rotate(metadata: MetadataStore, name: str, now_ns: int) -> StoredKey:
    """Put a new key in front of a ring; the older ones go on verifying.

    It signs after `SIGNS_AFTER` seconds. Raises `NotFound`.
    """
    record = _existing(metadata, name)
    made = _made(now_ns)
    _write(metadata, record, (made, *_decoder.decode(record.body).keys))
    return made


def remove(metadata: MetadataStore, name: str, key_id: str) -> None:
    """Take a key out of a ring: what it signed holds no more.

    Raises `NotFound`, and `Invalid` for the newest one, which signs or is about to.
    """
    record = _existing(metadata, name)
    keys = _decoder.decode(record.body).keys
    if key_id == keys[0].id:
        raise Invalid(f"key {key_id} is the newest of {name}: rotate the ring first")
    left = tuple(key for key in keys if key.id != key_id)
    if left == keys:
        raise NotFound(f"no key {key_id} of {name}")
    _write(metadata, record, left)


def _keys(metadata: MetadataStore, now_ns: Callable[[], int], name: str) -> Sequence[Key]:
    """Return the keys; processes that race to make the first one agree. Raises `StoreError`."""
    stored = metadata.get(KEY, [name])
    if name not in stored:
        body = msgspec.json.encode(_Ring((_made(now_ns()),)))
        with suppress(ConflictError):  # Another process was faster: its key is the one.
            metadata.apply([Put(KEY, name, body, expect=ABSENT)])
        stored = metadata.get(KEY, [name])
    return _signing_first(_decoder.decode(stored[name].body).keys, now_ns())


def _signing_first(kept: Sequence[StoredKey], now_ns: int) -> list[Key]:
    keys = [Key(one.id, one.secret) for one in kept]
    known = [_age(one, now_ns) >= SIGNS_AFTER for one in kept]
    signing = known.index(True) if True in known else len(keys) - 1
    return [keys[signing], *keys[:signing], *keys[signing + 1 :]]


def _age(key: StoredKey, now_ns: int) -> float:
    """Return how old a key is, in seconds."""
    return now_ns / SECOND - datetime.fromisoformat(key.created).timestamp()


def _made(now_ns: int) -> StoredKey:
    return StoredKey(secrets.token_hex(4), secrets.token_bytes(_SIZE), date_time(now_ns))


def _existing(metadata: MetadataStore, name: str) -> Record:
    record = metadata.get(KEY, [name]).get(name)
    if record is None:
        raise NotFound(f"no keys {name}")
    return record


def _write(metadata: MetadataStore, record: Record, keys: tuple[StoredKey, ...]) -> None:
    body = msgspec.json.encode(_Ring(keys))
    metadata.apply([Put(KEY, record.id, body, expect=record.version)])
