"""Reads and writes records by id."""

import sqlite3
from collections.abc import Mapping, Sequence

from tams_gateway.storage.changes import ABSENT, ANY, Delete, Expect, ExpectTouched, Put
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.records import Kind, Record, Value
from tams_gateway_sqlite.find import COLUMNS, one_of, record
from tams_gateway_sqlite.schema import PRESENT, Table, encode, pack, unpack

_MANY = 500
"""The ids of one statement."""


def get(connection: sqlite3.Connection, table: Table, ids: Sequence[str]) -> dict[str, Record]:
    """Return those of the records that are there."""
    found = {}
    if len(ids) > _MANY:
        # Several statements see one state; whoever lent the connection ends the transaction.
        connection.execute("BEGIN")
    for at in range(0, len(ids), _MANY):
        wanted = one_of(ids[at : at + _MANY])
        text = f"SELECT {COLUMNS} FROM {table.record} AS r WHERE r.id {wanted.text}"
        for row in connection.execute(text, wanted.bound):
            one = record(row)
            found[one.id] = one
    return found


def put(connection: sqlite3.Connection, table: Table, change: Put, version: int) -> None:
    """Create a record, or change of it what differs. Raises ConflictError."""
    key, new = encode(change.id), change.fields
    # Of a new record the primary key tells as well, and without a look before.
    old = None
    if change.expect != ABSENT:
        old = _expect(connection, table, change.kind, change.id, change.expect)
    before: Mapping[str, Value] = {} if old is None else old
    columns = {"version": version, "body": change.body, "fields": pack(new)}
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
        _hold(connection, table, key, _held(table, before), _held(table, new))


def delete(connection: sqlite3.Connection, table: Table, change: Delete) -> None:
    """Delete a record if it is there. Raises ConflictError."""
    old = _expect(connection, table, change.kind, change.id, change.expect)
    if old is not None:
        key = encode(change.id)
        connection.execute(f"DELETE FROM {table.record} WHERE id = ?", (key,))
        _hold(connection, table, key, _held(table, old), set())


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
) -> dict[str, Value] | None:
    """Return the fields of the record, None if it is not there."""
    row = connection.execute(
        f"SELECT version, fields FROM {table.record} WHERE id = ?", (encode(record_id),)
    ).fetchone()
    version = ABSENT if row is None else row[0]
    if expected not in (ANY, version):
        raise ConflictError(f"{kind.name} {record_id!r} has version {version}, not {expected}")
    return None if row is None else unpack(row[1])


def _held(table: Table, fields: Mapping[str, Value]) -> set[tuple[bytes, int | bytes]]:
    """Return what the sets of a record hold, as rows of `holds`."""
    rows: set[tuple[bytes, int | bytes]] = set()
    for field, value in fields.items():
        # A field that an earlier release declared is a set all the same.
        if isinstance(value, frozenset):
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
