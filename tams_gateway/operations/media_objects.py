"""Objects between their records and `MediaObject`: the one place that knows both."""

from collections.abc import Iterable

import msgspec

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import OBJECT
from tams_gateway.storage.capabilities import SupportsMediaRoutes
from tams_gateway.storage.changes import ABSENT, Delete, Put
from tams_gateway.storage.query import Equal, Query
from tams_gateway.storage.records import Record, Value

decode = msgspec.json.Decoder(MediaObject).decode
"""Returns the object that the body of a record says."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An object and the version of the record that it was read from."""

    object: MediaObject
    version: int


def load(gateway: Gateway, ids: Iterable[str]) -> dict[str, Stored]:
    """Return those of the objects that have a record, whatever their state."""
    records = gateway.metadata.get(OBJECT, list(ids))
    return {id_: from_record(record) for id_, record in records.items()}


def at_place(gateway: Gateway, place: str) -> Stored | None:
    """Return the object whose controlled instance is at `storage-id/key`."""
    found = gateway.metadata.find(Query(OBJECT, (Equal("places", place),), limit=1)).items
    return from_record(found[0]) if found else None


def from_record(record: Record) -> Stored:
    """Return the object of a record, and its version."""
    return Stored(decode(record.body), record.version)


def put(media_object: MediaObject, expect: int = ABSENT) -> Put:
    """Return the change that stores the object where that version stands."""
    instances = media_object.instances
    fields: dict[str, Value] = {
        "storage_ids": frozenset([one.storage_id for one in instances if one.storage_id]),
        "places": frozenset([one.place for one in instances if one.storage_id]),
    }
    if media_object.expires is not None:
        fields["expires"] = media_object.expires
    if media_object.due is not None:
        fields["due"] = media_object.due
    if media_object.size is not None:
        fields["size"] = media_object.size
    return Put(OBJECT, media_object.id, msgspec.json.encode(media_object), fields, expect)


def has_bytes(gateway: Gateway, instance: Instance) -> bool:
    """Whether bytes are to be there: of what the gateway serves, it knows the uploads."""
    backend = gateway.backends.get(instance.storage_id or "")
    if backend is None or instance.state != "ready":
        return False
    return instance.version is not None or not isinstance(backend.store, SupportsMediaRoutes)


def delete(stored: Stored) -> Delete:
    """Return the change that forgets the object as it was read."""
    return Delete(OBJECT, stored.object.id, stored.version)
