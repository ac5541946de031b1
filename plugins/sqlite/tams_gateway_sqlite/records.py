"""Reads and writes records by id."""

import sqlite3
from collections.abc import Mapping, Sequence

from tams_gateway.storage.changes import ABSENT, ANY, Delete, Expect, ExpectTouched, Put
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.packing import pack_fields
from tams_gateway.storage.records import Kind, Record, Value
from tams_gateway_sqlite import packed
from tams_gateway_sqlite.find import each
from tams_gateway_sqlite.schema import PRESENT, Table, encode


def get(connection: sqlite3.Connection, table: Table, ids: Sequence[str]) -> dict[str, Record]:
    """Return those of the records that are there."""
    if len(ids) == 1:
        one = _one(connection, table, ids[0])
        return {} if one is None else {one.id: one}
    wanted = each(ids)
    row = connection.execute(
        f"SELECT {packed.RECORDS} FROM ({wanted.text}) AS few"
        f" CROSS JOIN {table.record} AS r ON r.id = few.id",
        wanted.bound,
    ).fetchone()
    return {one.id: one for one in packed.records(*row)}


def _one(connection: sqlite3.Connection, table: Table, record_id: str) -> Record | None:
    row = connection.execute(
        f"SELECT packed, touched FROM {table.record} WHERE id = ?", (encode(record_id),)
    ).fetchone()
    return None if row is None else packed.record(*row)


def put(connection: sqlite3.Connection, table: Table, change: Put, version: int) -> None:
    """Create a record, or change of it what differs. Raises ConflictError."""
    key, new = encode(change.id), change.fields
    # Of a new record the primary key tells as well, and without a look before.
    old = None
    if change.expect != ABSENT:
        old = _expect(connection, table, change.kind, change.id, change.expect)
    before: Mapping[str, Value] = {} if old is None else dict(old.fields)
    columns: dict[str, object] = {
        "packed": packed.pack_record(change.id, version, change.body, pack_fields(new))
    }
    for field, column in table.columns.items():
        if before.get(field) != new.get(field):
            columns[column] = _stored(new.get(field))
    if old is None:
        names = ("id", *columns)
        try:
            connection.execute(
                f"INSERT INTO {table.record} ({','.join(names)})"
                f" VALUES ({','.join('?' * len(names))})",
                (key, *columns.values()),
            )
        except sqlite3.IntegrityError as error:
            raise ConflictError(f"{change.kind.name} {change.id!r} is there already") from error
    else:
        if before.get("life") != new.get("life"):
            columns["touched"] = None
        connection.execute(
            f"UPDATE {table.record} SET {','.join(f'{name} = ?' for name in columns)} WHERE id = ?",
            (*columns.values(), key),
        )
    if before != new:
        _hold(connection, table, key, _held(table, before, new), _held(table, new, before))


def delete(connection: sqlite3.Connection, table: Table, change: Delete) -> None:
    """Delete a record if it is there. Raises ConflictError."""
    old = _expect(connection, table, change.kind, change.id, change.expect)
    if old is not None:
        key = encode(change.id)
        connection.execute(f"DELETE FROM {table.record} WHERE id = ?", (key,))
        _hold(connection, table, key, _held(table, old.fields, {}), set())


def expect(connection: sqlite3.Connection, table: Table, change: Expect) -> None:
    """Raise ConflictError if the record has another version."""
    _expect(connection, table, change.kind, change.id, change.version)


def expect_touched(connection: sqlite3.Connection, table: Table, change: ExpectTouched) -> None:
    """Raise ConflictError if the record is gone or was touched at another time."""
    row = connection.execute(
        f"SELECT touched FROM {table.record} WHERE id = ?", (encode(change.id),)
    ).fetchone()
    if row is None or row[0] != change.touched:
        raise ConflictError(f"{change.kind.name} {change.id!r} was touched meanwhile")


def _expect(
    connection: sqlite3.Connection, table: Table, kind: Kind, record_id: str, expected: int
) -> Record | None:
    """Return the record, None if it is not there."""
    one = _one(connection, table, record_id)
    version = ABSENT if one is None else one.version
    if expected not in (ANY, version):
        raise ConflictError(f"{kind.name} {record_id!r} has version {version}, not {expected}")
    return one


def _held(
    table: Table, fields: Mapping[str, Value], other: Mapping[str, Value]
) -> set[tuple[bytes, int | bytes]]:
    """Return what those sets of a record hold that are not the same in another, as `holds`."""
    rows: set[tuple[bytes, int | bytes]] = set()
    for field, value in fields.items():
        # A field that an earlier release declared is a set all the same.
        if isinstance(value, frozenset) and other.get(field) != value:
            name = encode(field)
            if field not in table.columns:
                rows.add((name, PRESENT))
            rows.update((name, encode(one)) for one in value)
    return rows


def _hold(
    connection: sqlite3.Connection,
    table: Table,
    key: bytes,
    old: set[tuple[bytes, int | bytes]],
    new: set[tuple[bytes, int | bytes]],
) -> None:
    if gone := old - new:
        connection.executemany(
            f"DELETE FROM {table.holds} WHERE field = ? AND value = ? AND id = ?",
            [(*row, key) for row in gone],
        )
    if added := new - old:
        connection.executemany(
            f"INSERT INTO {table.holds} VALUES (?, ?, ?)", [(*row, key) for row in added]
        )


def _stored(value: Value | None) -> object:
    if isinstance(value, frozenset):
        return True
    return encode(value) if isinstance(value, str) else value
