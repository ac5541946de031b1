"""Segments and events as rows of their tables, and rows of any table as Arrow has them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway.events.event import Event, EventType
from tams_gateway.storage.packing import pack_fields, unpack_fields
from tams_gateway.storage.records import Segment, Use
from tams_gateway_vast.tables import parts, texts
from tams_gateway_vast.tables.columns import Scalar, Table
from tams_gateway_vast.tables.layout import EVENT_LAYOUT, SEGMENT_LAYOUT, filled
from tams_gateway_vast.tables.parts import Parts
from tams_gateway_vast.writing.timeline import StoredSegment

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction

Row: TypeAlias = Mapping[str, Scalar]
"""Values by column; a column that is not among them is null."""

SEGMENT: Final = (
    "start_ns",
    "end_ns",
    "object_id",
    "body",
    "created_ns",
    "init_object_id",
    "parts",
)
"""What to select of segments, for `segments`."""

EVENT: Final = ("position", "type", "at_ns", "body", "fields", "parts")
"""What to select of events, for `events`."""


def arrow(table: Table, rows: Sequence[Row], columns: Iterable[str] | None = None) -> pa.Table:
    """Return rows as Arrow has them: of all columns of the table, or of these."""
    schema = table.schema
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    arrays = [pa.array([row.get(one.name) for row in rows], one.type) for one in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def with_ids(table: Table, changed: Sequence[tuple[int, Row]]) -> pa.Table:
    """Return changes of the same columns of rows, with `$row_id` first."""
    rows = arrow(table, [row for _, row in changed], changed[0][1])
    # The widest type of row ids; the cluster's own is narrower for a table that is not sorted.
    ids = pa.array([row_id for row_id, _ in changed], pa.decimal128(38, 0))
    return rows.add_column(0, "$row_id", ids)


def segments(transaction: "Transaction", found: pa.Table) -> list[Segment]:
    """Return the segments of selected rows, in their order; reads their parts."""
    values = [found.column(name).to_pylist() for name in SEGMENT]
    whole = parts.fetch(transaction, [one for one in values[-1] if one is not None])
    return [
        Segment(
            start,
            end,
            texts.loaded(object_id),
            body if number is None else whole[number][0],
            at,
            None if init is None else texts.loaded(init),
        )
        for start, end, object_id, body, at, init, number in zip(*values, strict=True)
    ]


def stored_segments(transaction: "Transaction", found: pa.Table) -> list[StoredSegment]:
    """Return the same with what `$row_id`, which was selected too, says."""
    ids, numbers = (found.column(name).to_pylist() for name in ("$row_id", "parts"))
    loaded = segments(transaction, found)
    return [
        StoredSegment(int(row_id), one, number)
        for row_id, one, number in zip(ids, loaded, numbers, strict=True)
    ]


def segment_row(life: Use, segment: Segment, long: Parts) -> Row:
    """Return the row of a segment."""
    body, _, number = long.fit(segment.body)
    init = segment.init_object_id
    return {
        **typed(filled(SEGMENT_LAYOUT, segment.body, {})),
        "flow_id": texts.stored(life.flow_id),
        "life": life.life,
        "start_ns": segment.start_ns,
        "end_ns": segment.end_ns,
        "object_id": texts.stored(segment.object_id),
        "init_object_id": None if init is None else texts.stored(init),
        "created_ns": segment.at_ns,
        "body": body,
        "parts": number,
    }


def events(transaction: "Transaction", found: pa.Table) -> list[Event]:
    """Return the events of selected rows, in their order; reads their parts."""
    values = [found.column(name).to_pylist() for name in EVENT[1:]]
    whole = parts.fetch(transaction, [one for one in values[-1] if one is not None])
    return [
        _event(type_, at, *((body, fields) if number is None else whole[number]))
        for type_, at, body, fields, number in zip(*values, strict=True)
    ]


def _event(type_: str, at_ns: int, body: bytes, fields: bytes) -> Event:
    known = cast(Mapping[str, str | frozenset[str]], unpack_fields(fields))
    return Event(cast(EventType, type_), at_ns, body, known)


def event_row(position: int, ordinal: int, event: Event, long: Parts) -> Row:
    """Return the row of an event, which is the `ordinal`th of its commit."""
    body, fields, number = long.fit(event.body, pack_fields(event.fields))
    return {
        **typed(filled(EVENT_LAYOUT, event.body, event.fields)),
        "position": position,
        "type": event.type,
        "at_ns": event.at_ns,
        "ordinal": ordinal,
        "body": body,
        "fields": fields,
        "parts": number,
    }


def typed(values: Row) -> dict[str, Scalar]:
    """Return values with their texts as a column takes them: escaped, and cut."""
    return {
        name: texts.cut(value) if isinstance(value, str) else value
        for name, value in values.items()
    }
