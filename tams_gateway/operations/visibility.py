"""What a principal sees and may change, by the classes of its records (R-AUTH-06 to -10).

Every operation asks here; `references` says it of objects. Where the principal has access to
everything, each function returns at once.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from tams_gateway.auth.access import Access, Permission, denied
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.flow import CollectionItem
from tams_gateway.domain.tags import AUTH_CLASSES, auth_classes
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.kinds import FLOW, SOURCE
from tams_gateway.storage.query import Condition, OneOf
from tams_gateway.storage.records import Kind, Record


def classes_of(record: Record) -> frozenset[str]:
    """Return the classes of a record; one from before there were any is for admins alone."""
    return _set(record, AUTH_CLASSES)


def permitted(access: Access, permission: Permission, record: Record | None, what: str) -> Record:
    """Return the record if the principal may do that with it; `what` names it, as `flow ID`.

    Raises `NotFound` for one that is not there and for one that it may do nothing with, with the
    same text; `Forbidden` where it may do other things (R-AUTH-06).
    """
    if record is None:
        raise NotFound(f"no {what}")
    if not access.everything:
        access.require(permission, classes_of(record), NotFound(f"no {what}"), what)
    return record


def readable(access: Access, kind: Kind) -> tuple[Condition, ...]:
    """Return the condition that a listing leaves out what the principal may not read."""
    if access.classes is None or AUTH_CLASSES not in kind.fields:
        return ()
    return (OneOf(AUTH_CLASSES, tuple(sorted(access.classes[Permission.READ]))),)


def among(gateway: Gateway, access: Access, kind: Kind, ids: Iterable[str]) -> frozenset[str]:
    """Return those of the ids whose records may be read; all of them, where that is everything."""
    if access.everything:
        return frozenset(ids)
    records = gateway.metadata.get(kind, list(dict.fromkeys(ids)))
    return frozenset(
        one.id for one in records.values() if access.may(Permission.READ, classes_of(one))
    )


def uncollected(
    gateway: Gateway, access: Access, kind: Kind, records: Sequence[Record]
) -> list[Record]:
    """Return the records that nothing collects which may be read."""
    collectors = [_set(one, "collected_by") for one in records]
    seen = among(gateway, access, kind, frozenset().union(*collectors))
    return [one for one, ids in zip(records, collectors, strict=True) if seen.isdisjoint(ids)]


def _set(record: Record, field: str) -> frozenset[str]:
    value = record.fields.get(field, frozenset())
    assert isinstance(value, frozenset)
    return value


def shown(
    gateway: Gateway, access: Access, kind: Kind, records: Sequence[Record]
) -> Sequence[Record]:
    """Return the records with documents that name no flow or source that may not be read."""
    if access.everything or kind not in (FLOW, SOURCE):
        return records
    documents = shown_documents(gateway, access, kind, [one.body for one in records])
    return [
        one if body is one.body else replace(one, body=body)
        for one, body in zip(records, documents, strict=True)
    ]


def shown_documents(
    gateway: Gateway, access: Access, kind: Kind, documents: Sequence[bytes]
) -> Sequence[bytes]:
    """Return documents of flows or sources without the relations to what may not be read."""
    if access.everything:
        return documents
    # Most documents name no others: to see that is quicker than to decode them.
    related = [
        _related.decode(one).ids if b'_collection":' in one or b'"collected_by":' in one else _NONE
        for one in documents
    ]
    seen = among(gateway, access, kind, frozenset().union(*related))
    return [
        one if ids <= seen else _trimmed(one, seen)
        for one, ids in zip(documents, related, strict=True)
    ]


def shown_items(
    gateway: Gateway, access: Access, items: Iterable[CollectionItem]
) -> tuple[CollectionItem, ...]:
    """Return the members of a flow's collection that may be read."""
    seen = among(gateway, access, FLOW, [item.id for item in items])
    return tuple(item for item in items if item.id in seen)


class _Item(msgspec.Struct):
    id: str


class _Related(msgspec.Struct):
    """What a document of a flow or source says of others."""

    flow_collection: tuple[_Item, ...] = ()
    source_collection: tuple[_Item, ...] = ()
    collected_by: tuple[str, ...] = ()

    @property
    def ids(self) -> frozenset[str]:
        members = (item.id for item in (*self.flow_collection, *self.source_collection))
        return frozenset([*members, *self.collected_by])


_NONE: Final[frozenset[str]] = frozenset()
_related = msgspec.json.Decoder(_Related)
_members = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])
_item = msgspec.json.Decoder(_Item | str)


def _trimmed(document: bytes, ids: Collection[str]) -> bytes:
    trimmed = {}
    for name, value in _members.decode(document).items():
        if name in _Related.__struct_fields__:
            kept = [raw for raw in _list.decode(value) if _id(raw) in ids]
            if not kept:
                continue
            value = Raw(msgspec.json.encode(kept))
        trimmed[name] = value
    return msgspec.json.encode(trimmed)


def _id(raw: Raw) -> str:
    item = _item.decode(raw)
    return item if isinstance(item, str) else item.id


def with_hidden(
    sent: Sequence[CollectionItem], before: Iterable[CollectionItem], hidden: Collection[str]
) -> tuple[CollectionItem, ...]:
    """Return a collection as it was sent, with the members that its sender cannot see kept.

    Each stands behind the member that it stood behind.
    """
    merged = list(sent)
    place = 0
    for item in before:
        if item.id in hidden:
            merged.insert(place, item)
            place += 1
        else:
            at = next((at for at, one in enumerate(merged) if one.id == item.id), None)
            place = place if at is None else at + 1
    return tuple(merged)


def may_use(access: Access, permission: Permission, backend: Backend) -> bool:
    """Whether the principal may read or write in a storage backend; one without classes is open."""
    if access.everything or AUTH_CLASSES not in backend.tags:
        return True
    return access.may(permission, auth_classes(backend.tags))


def knows(access: Access, backend: Backend) -> bool:
    """Whether the principal may do anything with a storage backend (R-AUTH-07)."""
    return any(may_use(access, permission, backend) for permission in Permission)


def writable_backend(gateway: Gateway, access: Access, storage_id: str) -> Backend:
    """Return the storage backend that a body names at `/storage_id`, to write in it.

    Raises `Invalid` for one that is not there or not known to the principal, else `Forbidden`.
    """
    backend = gateway.backends.get(storage_id)
    if backend is None or not knows(access, backend):
        raise Invalid.at("/storage_id", f"no storage backend {storage_id}")
    if not may_use(access, Permission.WRITE, backend):
        raise denied(Permission.WRITE, f"in storage backend {storage_id}")
    return backend


def hidden_backends(gateway: Gateway, access: Access) -> frozenset[str]:
    """Return the ids of the storage backends whose URLs the principal does not get (R-AUTH-08)."""
    if access.everything:
        return frozenset()
    backends = gateway.backends.values()
    return frozenset(one.id for one in backends if not may_use(access, Permission.READ, one))
