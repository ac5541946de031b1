"""Semi-sorted projections: copies of some columns that the cluster keeps in another order."""

from collections.abc import Sequence
from typing import Final

import msgspec

from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.tables.kind_tables import FLOWS, RECORDS
from tams_gateway_vast.tables.layout import (
    EVENTS,
    FIELD_VALUES,
    FLOW_COLLECTIONS,
    FLOW_OBJECT_REFERENCES,
    LIVES,
    PARTS,
    SEGMENTS,
    SOURCE_COLLECTIONS,
    TAGS,
    Layouts,
)
from tams_gateway_vast.transport.catalogue import TableStats
from tams_gateway_vast.transport.cluster import Transaction

_RECORD: Final = ("version", "body", "fields", "parts")
"""What is read of a record that is found by its id."""

_READ: Final = {
    RECORDS.name: _RECORD,
    FLOWS.name: ("kind", *_RECORD, "touched_ns", "first_ns", "last_ns", "segment_count"),
    SEGMENTS.name: ("start_ns", "object_id", "init_object_id", "created_ns", "body", "parts"),
    EVENTS.name: ("type", "at_ns", "body", "fields", "parts"),
}
"""What reads ask for of a table, where it is not every column nor `_RECORD`."""

_WHOLE: Final = (
    LIVES,
    PARTS,
    TAGS,
    FIELD_VALUES,
    FLOW_COLLECTIONS,
    SOURCE_COLLECTIONS,
    FLOW_OBJECT_REFERENCES,
)
"""Tables whose projections hold every column."""

SECOND_ORDERS: Final = (
    (TAGS, ("entity_type", "entity_id")),
    (FIELD_VALUES, ("field", "value")),
    (FLOW_COLLECTIONS, ("flow_id",)),
    (SOURCE_COLLECTIONS, ("collection_id",)),
)
"""Tables that are read in a second order: from a value to its records, or from a record to its
values."""


class Projection(msgspec.Struct, frozen=True):
    """A projection of a table: what it is sorted by, and the columns beside."""

    table: Table
    sorted_by: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, which tells its order."""
        return f"by_{'_'.join(self.sorted_by)}"


class Status(msgspec.Struct, frozen=True):
    """A projection, and what the cluster says of it: None where it is not there."""

    projection: Projection
    stats: TableStats | None


def wanted(transaction: Transaction, layouts: Layouts) -> Sequence[Status]:
    """Return the projections that serve the reads, there or not.

    A table that the cluster sorts itself needs none of that order.
    """
    is_sorted = transaction.tables()
    every = _every(layouts)
    return _status(
        transaction,
        [
            one
            for one in every
            if one.sorted_by != one.table.sorted_by or not is_sorted[one.table.name]
        ],
    )


def create_missing(transaction: Transaction, layouts: Layouts) -> Sequence[Projection]:
    """Make the projections that are wanted and not there; return them."""
    missing = [one.projection for one in wanted(transaction, layouts) if one.stats is None]
    for one in missing:
        transaction.create_projection(one.table, one.name, one.sorted_by, one.others)
    return missing


def drop_all(transaction: Transaction, layouts: Layouts) -> Sequence[Projection]:
    """Drop the projections of ours that are there, wanted or not; return them."""
    every = _status(transaction, _every(layouts))
    there = [one.projection for one in every if one.stats is not None]
    for one in there:
        transaction.drop_projection(one.table, one.name)
    return there


def _status(transaction: Transaction, projections: Sequence[Projection]) -> Sequence[Status]:
    found = {
        table.name: {stats.name: stats for stats in transaction.projections(table)}
        for table in dict.fromkeys(one.table for one in projections)
    }
    return [Status(one, found[one.table.name].get(one.name)) for one in projections]


def _every(layouts: Layouts) -> Sequence[Projection]:
    first = [_projection(table, table.sorted_by) for table in layouts.tables if table.sorted_by]
    return [*first, *(_projection(table, sorted_by) for table, sorted_by in SECOND_ORDERS)]


def _projection(table: Table, sorted_by: tuple[str, ...]) -> Projection:
    if table in _WHOLE:
        read: tuple[str, ...] = tuple(column.name for column in table.columns)
    else:
        read = _READ.get(table.name, _RECORD)
    return Projection(table, sorted_by, tuple(name for name in read if name not in sorted_by))
