"""A `Query` as SQL.

A listing is a few ranges of an index, one after another: those with the sort value of the last
item, those beyond it, those without a value. If a condition is met by few records, they are
looked up and sorted; else the index of the order is walked until the page is full. SQLite keeps
no statistics here, so both plans are forced: by CROSS JOIN, and by INDEXED BY with conditions
that offer no index.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from tams_gateway.domain.timerange import ETERNITY, MIN_NS
from tams_gateway.storage.query import (
    Absent,
    AtLeast,
    Below,
    Condition,
    Equal,
    OneOf,
    Page,
    Present,
    Query,
    Segmentless,
    Touches,
)
from tams_gateway.storage.records import FieldType, Record
from tams_gateway_sqlite.schema import PRESENT, Fields, Table, decode, encode

FEW: Final = 500
"""So many records are sorted rather than the index of the order walked."""

_BOUND: Final = 500
"""So many values are bound one by one; more go as one JSON text."""

COLUMNS: Final = "r.id, r.version, r.body, r.fields, r.touched"

Parameters: TypeAlias = tuple[object, ...]


class Sql(NamedTuple):
    """A piece of SQL and what is bound in it."""

    text: str
    bound: Parameters = ()


def record(row: tuple[bytes, int, bytes, str, int | None]) -> Record:
    """Return the record of a row of `COLUMNS`."""
    record_id, version, body, fields, touched = row
    return Record(decode(record_id), version, body, Fields(fields), touched)


def one_of(values: Sequence[str]) -> Sql:
    """Return an IN list of any number of texts."""
    if len(values) <= _BOUND:
        return Sql(f"IN ({','.join('?' * len(values))})", tuple(map(encode, values)))
    hexed = ",".join(f'"{encode(value).hex()}"' for value in values)
    return Sql("IN (SELECT unhex_(value) FROM json_each(?))", (f"[{hexed}]",))


def find(connection: sqlite3.Connection, table: Table, query: Query) -> Page[Record]:
    """Return a page of records."""
    connection.execute("BEGIN")
    source, bound, order_id = _source(connection, table, query)
    where = [_filter(table, condition) for condition in query.where]
    rows: list[tuple[bytes, int, bytes, str, int | None]] = []
    for index, piece, order in _ranges(table, query, order_id):
        conditions = [piece, *where]
        statement = (
            f"SELECT {COLUMNS} FROM {source or f'{table.record} AS r INDEXED BY {index}'}"
            f" WHERE {' AND '.join(one.text for one in conditions)} ORDER BY {order} LIMIT ?"
        )
        parameters = [*bound, *(value for one in conditions for value in one.bound)]
        rows += connection.execute(statement, (*parameters, query.limit + 1 - len(rows)))
        if len(rows) > query.limit:
            break
    connection.execute("COMMIT")
    return Page([record(row) for row in rows[: query.limit]], len(rows) > query.limit)


def _source(
    connection: sqlite3.Connection, table: Table, query: Query
) -> tuple[str, Parameters, str]:
    """Return what to read from, and the column of ids that is in order there.

    It is empty if the index of the order is to be walked.
    """
    for condition in query.where if query.sort is None else ():
        if isinstance(condition, Equal):
            ids = _ids(table, condition)
            # The index that finds them has them in the order of their ids.
            return (
                f"({ids.text}) AS few CROSS JOIN {table.record} AS r ON r.id = few.id",
                ids.bound,
                "few.id",
            )
    for condition in query.where:
        if isinstance(condition, Touches | Segmentless):
            continue
        ids = _ids(table, condition)
        if ids.text and _count(connection, ids) < FEW:
            text = f"(SELECT DISTINCT id FROM ({ids.text})) AS few"
            return f"{text} CROSS JOIN {table.record} AS r ON r.id = few.id", ids.bound, "r.id"
    return "", (), "r.id"


def _count(connection: sqlite3.Connection, ids: Sql) -> int:
    """Return how many ids there are, up to `FEW`."""
    text = f"SELECT count(*) FROM ({ids.text} LIMIT {FEW})"
    return int(connection.execute(text, ids.bound).fetchone()[0])


def _ids(table: Table, condition: Equal | OneOf | Present | Absent | AtLeast | Below) -> Sql:
    """Return a SELECT of the ids that meet a condition, read from one index; empty if none can."""
    if table.kind.type_of(condition.field) is not FieldType.SET:
        test = _compare(table.columns[condition.field], condition)
        # Left to choose, SQLite would read all ids in their order, to have each once.
        source = f"{table.record} INDEXED BY {table.index(condition.field)}"
        return Sql(f"SELECT id FROM {source} WHERE {test.text}", test.bound)
    if isinstance(condition, Absent) or _is_presence(table, condition):
        return Sql("")
    test = _held(condition)
    return Sql(
        f"SELECT id FROM {table.holds} WHERE field = ? AND value {test.text}",
        (encode(condition.field), *test.bound),
    )


def _filter(table: Table, condition: Condition) -> Sql:
    """Return a condition on the record `r` that offers SQLite no index to begin with."""
    if isinstance(condition, Touches):
        span = condition.span
        return _touches(table, span.start, span.end)
    if isinstance(condition, Segmentless):
        touches = _touches(table, ETERNITY.start, ETERNITY.end)
        return Sql(f"NOT {touches.text}", touches.bound)
    scalar = table.kind.type_of(condition.field) is not FieldType.SET
    if scalar or _is_presence(table, condition):
        return _compare(f"+r.{table.columns[condition.field]}", condition)
    absent = isinstance(condition, Absent)
    test = _held(condition)
    return Sql(
        f"{'NOT ' if absent else ''}EXISTS (SELECT 1 FROM {table.holds} AS h"
        f" WHERE h.field = ? AND h.value {test.text} AND h.id = r.id)",
        (encode(condition.field), *test.bound),
    )


def _is_presence(table: Table, condition: Condition) -> bool:
    """Whether a column of the record tells it, of a declared set as well."""
    return isinstance(condition, Present | Absent) and condition.field in table.columns


def _touches(table: Table, start: int, end: int) -> Sql:
    """Return whether the first segment that ends behind `start` begins before `end`."""
    return Sql(
        "coalesce((SELECT s.start_ns FROM segments AS s WHERE s.flow_id = r.id"
        f" AND s.life = r.{table.columns['life']} AND s.end_ns > ? ORDER BY s.end_ns LIMIT 1) < ?"
        " AND ? < ?, 0)",
        (start, end, start, end),
    )


def _compare(column: str, condition: Condition) -> Sql:
    """Return a condition on a scalar column."""
    match condition:
        case Equal(value=value):
            return Sql(f"{column} = ?", (_bind(value),))
        case OneOf(values=values):
            test = one_of(values)
            return Sql(f"{column} {test.text}", test.bound)
        case AtLeast(value=value):
            return Sql(f"{column} >= ?", (value,))
        case Below(value=value):
            return Sql(f"{column} < ?", (value,))
        case Absent():
            return Sql(f"{column} IS NULL")
        case _:
            return Sql(f"{column} IS NOT NULL")


def _held(condition: Condition) -> Sql:
    """Return a condition on the value column of `holds`."""
    match condition:
        case Equal(value=value):
            return Sql("= ?", (_bind(value),))
        case OneOf(values=values):
            return one_of(values)
        case _:
            return Sql("= ?", (PRESENT,))


def _bind(value: int | bool | str) -> int | bytes:
    return encode(value) if isinstance(value, str) else value


def _ranges(table: Table, query: Query, order_id: str) -> Iterator[tuple[str, Sql, str]]:
    """Yield the ranges of an index that make up the listing: index, condition, order."""
    after = query.after
    id_order = f"{order_id} {'DESC' if query.reverse else 'ASC'}"
    beyond_id = f"{order_id} {'<' if query.reverse else '>'} ?"
    if query.sort is None:
        primary = f'"sqlite_autoindex_{table.record[1:-1]}_1"'
        rest = Sql(beyond_id, (encode(after.id),)) if after else Sql("1")
        yield primary, rest, id_order
        return
    field = query.sort.field
    column, index = f"r.{table.columns[field]}", table.index(field)
    least: object = b"" if table.kind.fields[field] is FieldType.TEXT else MIN_NS
    down = query.sort.descending != query.reverse
    order = f"{column} {'DESC' if down else 'ASC'}, {id_order}"
    unset = (index, Sql(f"{column} IS NULL"), id_order)
    # NULL is not above anything: this is `IS NOT NULL` as a range.
    everything = (index, Sql(f"{column} >= ?", (least,)), order)
    if after is None:
        yield from (unset, everything) if query.reverse else (everything, unset)
        return
    if after.value is None:
        yield index, Sql(f"{column} IS NULL AND {beyond_id}", (encode(after.id),)), id_order
        if query.reverse:
            yield everything
        return
    value = _bind(after.value)
    yield index, Sql(f"{column} = ? AND {beyond_id}", (value, encode(after.id))), id_order
    yield index, Sql(f"{column} {'<' if down else '>'} ?", (value,)), order
    if not query.reverse:
        yield unset
