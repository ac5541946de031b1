"""Reads records by id, and says how they stand in their tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway.storage.packing import Fields
from tams_gateway.storage.records import Record
from tams_gateway_vast.tables import parts
from tams_gateway_vast.tables.texts import loaded as text
from tams_gateway_vast.tables.texts import stored
from tams_gateway_vast.transport.predicates import In, Is, Term

if TYPE_CHECKING:
    from tams_gateway_vast.tables.layout import Layout
    from tams_gateway_vast.transport.cluster import Transaction

T = TypeVar("T")

MOST: Final = 10_000
"""The most values of one question: a request has at most 5 MiB."""

_WHOLE: Final = ("$row_id", "id", "version", "body", "fields", "parts")
_TIMED: Final = ("touched_ns", "first_ns", "last_ns", "segment_count")


class Bounds(msgspec.Struct, frozen=True):
    """What is known of the segments of a life without reading them.

    None begins before `first_ns` or ends after `last_ns`; both mean nothing if `count` is 0.
    """

    first_ns: int = 0
    last_ns: int = 0
    count: int = 0


EMPTY: Final = Bounds()


class Stored(msgspec.Struct, frozen=True):
    """A record as it stands in its table: where, in which parts, and what its segments are like."""

    kind: str
    row_id: int
    record: Record
    parts: int | None
    bounds: Bounds = EMPTY


def columns(layout: "Layout") -> tuple[str, ...]:
    """Return what to select of a layout's table, for `loaded`."""
    shared = () if layout.kind_name is None else ("kind",)
    return (*_WHOLE, *shared, *(_TIMED if layout.timed else ()))


def of_kind(layout: "Layout") -> list[Term]:
    """Return what tells the records of a kind from others in its table."""
    return [] if layout.kind_name is None else [Is("kind", stored(layout.kind_name))]


def get(transaction: "Transaction", layout: "Layout", ids: Sequence[str]) -> dict[str, Stored]:
    """Return those of the records that are there."""
    found = {}
    for some in batches([stored(one) for one in dict.fromkeys(ids)]):
        where = [In("id", some), *of_kind(layout)]
        rows = transaction.select(layout.table, columns(layout), where)
        found.update({one.record.id: one for one in loaded(transaction, layout, rows)})
    return found


def loaded(transaction: "Transaction", layout: "Layout", rows: pa.Table) -> list[Stored]:
    """Return the records of selected rows, in their order; reads their parts, if there are any."""
    values = {name: rows.column(name).to_pylist() for name in columns(layout)}
    whole = parts.fetch(transaction, [one for one in values["parts"] if one is not None])
    return [_stored(layout, values, whole, at) for at in range(rows.num_rows)]


def _stored(
    layout: "Layout",
    values: Mapping[str, list[Any]],
    whole: Mapping[int, tuple[bytes, bytes]],
    at: int,
) -> Stored:
    number, body, fields = values["parts"][at], values["body"][at], values["fields"][at]
    if number is not None:
        body, fields = whole[number]
    touched, bounds = None, EMPTY
    if layout.timed:
        touched = values["touched_ns"][at]
        first, last, count = (values[name][at] or 0 for name in _TIMED[1:])
        bounds = Bounds(first, last, count)
    record_id, version = text(values["id"][at]), values["version"][at]
    record = Record(record_id, version, body, Fields(fields), touched)
    kind = layout.name if layout.kind_name is None else text(values["kind"][at])
    return Stored(kind, int(values["$row_id"][at]), record, number, bounds)


def row_ids(rows: pa.Table) -> list[int]:
    """Return the row ids of what was selected, of a sorted table too."""
    return [int(one) for one in rows.column("$row_id").to_pylist()]


def batches(items: Sequence[T], size: int = MOST) -> Iterator[Sequence[T]]:
    """Yield the items in lists that fit into a request."""
    return (items[at : at + size] for at in range(0, len(items), size))
