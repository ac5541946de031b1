"""Flows and sources between their records and their values: the one place that knows both."""

import msgspec

from tams_gateway.domain.flow import Flow
from tams_gateway.domain.source import Source
from tams_gateway.operations.kinds import FLOW, SOURCE
from tams_gateway.storage.changes import ABSENT, Put
from tams_gateway.storage.records import Record, Value

_flow = msgspec.json.Decoder(Flow)
_source = msgspec.json.Decoder(Source)


class StoredFlow(msgspec.Struct, frozen=True):
    """A flow, and what its record says beside the document; times in nanoseconds since 1970.

    `version` is `ABSENT` for one that is not stored yet.
    """

    flow: Flow
    created_ns: int
    updated_ns: int
    life: int = 0
    version: int = ABSENT
    touched: int | None = None

    def put(self) -> Put:
        """Return the change that stores it over the version that it was read from."""
        fields: dict[str, Value] = {
            **self.flow.fields(),
            "created": self.created_ns,
            "metadata_updated": self.updated_ns,
            "life": self.life,
        }
        return Put(FLOW, self.flow.id, msgspec.json.encode(self.flow), fields, self.version)


class StoredSource(msgspec.Struct, frozen=True):
    """A source, and what its record says beside the document; as `StoredFlow`.

    `flows` counts its flows: with the last one it goes (R-SRC-01).
    """

    source: Source
    created_ns: int
    updated_ns: int
    flows: int = 0
    version: int = ABSENT

    def put(self) -> Put:
        """Return the change that stores it over the version that it was read from."""
        fields: dict[str, Value] = {
            **self.source.fields(),
            "created": self.created_ns,
            "updated": self.updated_ns,
            "flows": self.flows,
        }
        return Put(SOURCE, self.source.id, msgspec.json.encode(self.source), fields, self.version)


class Origin(msgspec.Struct, frozen=True):
    """When something was made and last changed, and by whom; nanoseconds since 1970."""

    created_ns: int
    updated_ns: int
    created_by: str | None = None
    updated_by: str | None = None


class Births(msgspec.Struct, frozen=True):
    """The origins of a flow that comes from another server, and of its source if it is new."""

    flow: Origin
    source: Origin


def read_flow(record: Record) -> StoredFlow:
    """Decode a flow's record."""
    return StoredFlow(
        _flow.decode(record.body),
        _number(record, "created"),
        _number(record, "metadata_updated"),
        read_life(record),
        record.version,
        record.touched,
    )


def read_life(record: Record) -> int:
    """Return the life of a flow's record, without decoding the rest."""
    return _number(record, "life")


def read_source(record: Record) -> StoredSource:
    """Decode a source's record."""
    return StoredSource(
        _source.decode(record.body),
        _number(record, "created"),
        _number(record, "updated"),
        _number(record, "flows"),
        record.version,
    )


def _number(record: Record, field: str) -> int:
    value = record.fields[field]
    assert isinstance(value, int)
    return value
