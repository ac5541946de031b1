"""From schema 1 to 2: records and segments are packed, and unset fields are in no index."""

import re
import sqlite3
from typing import Final

from tams_gateway.storage.records import Segment
from tams_gateway_sqlite.packed import pack_record, pack_segment
from tams_gateway_sqlite.schema import decode

_SEGMENTS: Final = (
    "CREATE TABLE new (flow_id BLOB NOT NULL, life INTEGER NOT NULL,"
    " end_ns INTEGER NOT NULL, start_ns INTEGER NOT NULL, object_id BLOB NOT NULL,"
    " init_object_id BLOB, head BLOB NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (flow_id, life, end_ns)) WITHOUT ROWID",
    "INSERT INTO new SELECT flow_id, life, end_ns, start_ns, object_id, init_object_id,"
    " pack_segment(start_ns, end_ns, object_id, body, at, init_object_id), body FROM segments",
    "DROP TABLE segments",
    "ALTER TABLE new RENAME TO segments",
    "CREATE INDEX segments_by_object ON segments (object_id, flow_id, life, end_ns)",
    "CREATE INDEX segments_by_init_object ON segments (init_object_id, flow_id, life, end_ns)"
    " WHERE init_object_id IS NOT NULL",
)


def step(connection: sqlite3.Connection) -> None:
    """Make the tables of schema 2 of those of 1, inside a transaction."""
    connection.create_function("pack_record", 4, _record)
    connection.create_function("pack_segment", 6, _segment)
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'record:%'"
    for (table,) in connection.execute(tables).fetchall():
        _pack_records(connection, table)
    for statement in _SEGMENTS:
        connection.execute(statement)


def _pack_records(connection: sqlite3.Connection, table: str) -> None:
    execute = connection.execute
    columns = [
        (f'"{name}"', type_)
        for _, name, type_, *_ in execute(f'PRAGMA table_info("{table}")')
        if name.startswith("field:")
    ]
    indexes = execute(
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        (table,),
    ).fetchall()
    declared = "".join(f", {name} {type_}" for name, type_ in columns)
    execute(
        f"CREATE TABLE new (id BLOB PRIMARY KEY, touched INTEGER, packed BLOB NOT NULL{declared})"
    )
    rest = "".join(f", {name}" for name, _ in columns)
    execute(
        f"INSERT INTO new SELECT id, touched, pack_record(id, version, body, fields){rest}"
        f' FROM "{table}"'
    )
    execute(f'DROP TABLE "{table}"')
    execute(f'ALTER TABLE new RENAME TO "{table}"')
    for (sql,) in indexes:
        column = re.search(r'\(("field:[^"]+")', sql)
        assert column is not None
        execute(f"{sql} WHERE {column[1]} IS NOT NULL")


def _record(record_id: bytes, version: int, body: bytes, fields: str) -> bytes:
    return pack_record(decode(record_id), version, body, fields.encode())


def _segment(
    start: int, end: int, object_id: bytes, body: bytes, at: int, init: bytes | None
) -> bytes:
    init_id = None if init is None else decode(init)
    return pack_segment(Segment(start, end, decode(object_id), body, at, init_id))
