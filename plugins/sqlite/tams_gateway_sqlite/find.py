"""A `Query` as SQL.

A listing is a few ranges of an index, one after another: those with the sort value of the last
item, those beyond it, those without a value. If a condition is met by few records, they are
looked up and sorted; else the index of the order is walked until the page is full. SQLite keeps
no statistics here, so both plans are forced: by CROSS JOIN, and by INDEXED BY with conditions
that offer no index.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, TypeAlias

import msgspec

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
from tams_gateway_sqlite import packed
from tams_gateway_sqlite.schema import PRESENT, Table, encode

FEW: Final = 500
"""So many records are sorted rather than the index of the order walked."""

Parameters: TypeAlias = tuple[object, ...]


class Sql(NamedTuple):
    """A piece of SQL and what is bound in it."""

    text: str
    bound: Parameters = ()


def each(values: Sequence[str]) -> Sql:
    """Return a SELECT of any number of texts, as `id`."""
    with suppress(UnicodeEncodeError):
        listed = msgspec.json.encode(values)
        # SQLite ends a text of JSON at NUL.
        if b"\\u0000" not in listed:
            return Sql("SELECT CAST(value AS BLOB) AS id FROM json_each(?)", (listed.decode(),))
    hexed = [encode(value).hex() for value in values]
    return Sql("SELECT unhex_(value) AS id FROM json_each(?)", (json.dumps(hexed),))


def unset(table: Table, query: Query) -> set[str]:
    """Return the scalar fields whose index of the records without them a query needs."""
    fields: set[str] = set()
    present: set[str] = set()
    for condition in query.where:
        if isinstance(condition, Touches | Segmentless):
            continue
        if not isinstance(condition, Absent):
            present.add(condition.field)
        elif table.kind.type_of(condition.field) is not FieldType.SET:
            fields.add(condition.field)
    if query.sort is not None and query.sort.field not in present:
        fields.add(query.sort.field)
    return fields


def find(connection: sqlite3.Connection, table: Table, query: Query) -> Page[Record]:
    """Return a page of records; the indexes that `unset` tells are there."""
    connection.execute("BEGIN")
    source, bound, order_id = _source(connection, table, query)
    where = [_filter(table, condition) for condition in query.where]
    found: list[Record] = []
    for index, piece, order in _ranges(table, query, order_id):
        conditions = [piece, *where]
        statement = (
            f"SELECT {packed.RECORDS} FROM (SELECT r.packed, r.touched"
            f" FROM {source or f'{table.record} AS r INDEXED BY {index}'}"
            f" WHERE {' AND '.join(one.text for one in conditions)} ORDER BY {order} LIMIT ?)"
        )
        parameters = [*bound, *(value for one in conditions for value in one.bound)]
        left = query.limit + 1 - len(found)
        found += packed.records(*connection.execute(statement, (*parameters, left)).fetchone())
        if len(found) > query.limit:
            break
    connection.execute("COMMIT")
    return Page(found[: query.limit], len(found) > query.limit)


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
        index = table.unset if isinstance(condition, Absent) else table.index
        source = f"{table.record} INDEXED BY {index(condition.field)}"
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
            listed = each(values)
            return Sql(f"{column} IN ({listed.text})", listed.bound)
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
            listed = each(values)
            return Sql(f"IN ({listed.text})", listed.bound)
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
    field, reverse = query.sort.field, query.reverse
    column, index = f"r.{table.columns[field]}", table.index(field)
    down = query.sort.descending != reverse
    order = f"{column} {'DESC' if down else 'ASC'}, {id_order}"
    among_unset = after is not None and after.value is None
    if after is None or after.value is None:
        least: object = b"" if table.kind.fields[field] is FieldType.TEXT else MIN_NS
        # NULL is not above anything: this is `IS NOT NULL` as a range.
        having = [(index, Sql(f"{column} >= ?", (least,)), order)]
    else:
        value = _bind(after.value)
        equal = Sql(f"{column} = ? AND {beyond_id}", (value, encode(after.id)))
        further = Sql(f"{column} {'<' if down else '>'} ?", (value,))
        having = [(index, equal, id_order), (index, further, order)]
    without = []
    if field in unset(table, query):
        rest = Sql(f" AND {beyond_id}", (encode(after.id),)) if after and among_unset else Sql("")
        condition = Sql(f"{column} IS NULL{rest.text}", rest.bound)
        without = [(table.unset(field), condition, id_order)]
    if reverse:
        yield from without if after is None or among_unset else ()
        yield from having
    else:
        yield from () if among_unset else having
        yield from without
