"""Which storage backends this store has ever had, so that one which is gone is noticed.

Its objects would show no URLs, and nobody would be told why.
"""

import msgspec

from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.kinds import BACKEND, OBJECT
from tams_gateway.storage.changes import Put
from tams_gateway.storage.query import Equal, Query


class Known(msgspec.Struct, frozen=True):
    """A storage backend by its id, and how it was called last."""

    id: str
    name: str
    label: str


_decoder = msgspec.json.Decoder(Known)


def note(gateway: Gateway) -> None:
    """Remember the configured backends."""
    stored = gateway.metadata.get(BACKEND, list(gateway.backends))
    changes = [
        Put(BACKEND, backend.id, body)
        for backend in gateway.backends.values()
        if (body := _body(backend)) != (stored[backend.id].body if backend.id in stored else b"")
    ]
    if changes:
        gateway.metadata.apply(changes)


def missing(gateway: Gateway) -> list[Known]:
    """Return the backends that objects lie in and that are not configured any more."""
    found = gateway.metadata.find(Query(BACKEND, limit=1000)).items
    gone = [_decoder.decode(record.body) for record in found if record.id not in gateway.backends]
    return [one for one in gone if _is_used(gateway, one.id)]


def _is_used(gateway: Gateway, storage_id: str) -> bool:
    where = (Equal("storage_ids", storage_id),)
    return bool(gateway.metadata.find(Query(OBJECT, where, limit=1)).items)


def _body(backend: Backend) -> bytes:
    return msgspec.json.encode(Known(backend.id, backend.name, backend.label))
