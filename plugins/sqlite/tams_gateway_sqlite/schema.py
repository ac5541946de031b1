"""The tables: those that every database has, and two for each kind of record.

Texts are stored as BLOBs of UTF-8: so lone surrogates and NUL are possible, and the order is by
code point. A record stands in `record:KIND`, its fields whole as JSON, and each declared one again
in a column: a scalar with an index, of a set only whether it is there. What sets hold is in
`holds:KIND`.
"""

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tams_gateway.storage.records import FieldType, Kind, Value

APPLICATION: Final = 0x54414D53
VERSION: Final = 1

PRESENT: Final = 0
"""Stands in `holds` for a tag itself, so that an empty one is seen; no text is equal to it."""

TABLES: Final = (
    "CREATE TABLE counter (version INTEGER NOT NULL, events INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (0, 0)",
    "CREATE TABLE kinds (name BLOB PRIMARY KEY, segments INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, type TEXT NOT NULL,"
    " at_ns INTEGER NOT NULL, body BLOB NOT NULL, fields TEXT NOT NULL)",
    "CREATE TABLE segments (flow_id BLOB NOT NULL, life INTEGER NOT NULL,"
    " end_ns INTEGER NOT NULL, start_ns INTEGER NOT NULL, object_id BLOB NOT NULL,"
    " init_object_id BLOB, at INTEGER NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (flow_id, life, end_ns)) WITHOUT ROWID",
    "CREATE INDEX segments_by_object ON segments (object_id, flow_id, life, end_ns)",
    "CREATE INDEX segments_by_init_object ON segments (init_object_id, flow_id, life, end_ns)"
    " WHERE init_object_id IS NOT NULL",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


_decoder = msgspec.json.Decoder(dict[str, int | bool | str | list[str]])


def encode(text: str) -> bytes:
    """Return a text as it is stored."""
    return text.encode("utf-8", "surrogatepass")


def decode(stored: bytes) -> str:
    """Return the text of what is stored."""
    return stored.decode("utf-8", "surrogatepass")


def pack(fields: Mapping[str, Value]) -> str:
    """Return fields as JSON, sets as arrays."""
    plain = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in fields.items()
    }
    try:
        return msgspec.json.encode(plain).decode()
    except UnicodeEncodeError:  # A lone surrogate, which only the slower one can write.
        return json.dumps(plain)


def unpack(packed: str) -> dict[str, Value]:
    """Return the fields that `pack` got."""
    try:
        plain = _decoder.decode(packed)
    except msgspec.DecodeError:  # A lone surrogate again.
        plain = json.loads(packed)
    return {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in plain.items()
    }


class Fields(Mapping[str, Value]):
    """The fields of a record, unpacked when somebody looks: a page of objects needs none."""

    __slots__ = ("_packed", "_unpacked")

    def __init__(self, packed: str) -> None:
        self._packed = packed
        self._unpacked: dict[str, Value] | None = None

    def __getitem__(self, name: str) -> Value:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def _all(self) -> dict[str, Value]:
        if self._unpacked is None:
            self._unpacked = unpack(self._packed)
        return self._unpacked


class Table:
    """The tables of a kind: their names, and how they are made."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        name = _identifier(kind.name)
        self.record = f'"record:{name}"'
        self.holds = f'"holds:{name}"'
        self.columns = {field: f'"field:{_identifier(field)}"' for field in kind.fields}
        self._index = f"index:{name}:"

    def index(self, field: str) -> str:
        """Return the name of a scalar field's index."""
        return f'"{self._index}{_identifier(field)}"'

    def covers(self, kind: Kind) -> bool:
        """Whether all that the kind declares is here."""
        return kind is self.kind or kind.fields.items() <= self.kind.fields.items()

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables of the kind, or what they lack; inside a transaction."""
        execute = connection.execute
        execute(
            "INSERT INTO kinds VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET segments = max(segments, excluded.segments)",
            (encode(self.kind.name), self.kind.segments),
        )
        execute(
            f"CREATE TABLE IF NOT EXISTS {self.record} (id BLOB PRIMARY KEY,"
            " version INTEGER NOT NULL, touched INTEGER, fields TEXT NOT NULL, body BLOB NOT NULL)"
        )
        execute(
            f"CREATE TABLE IF NOT EXISTS {self.holds} (field BLOB, value BLOB, id BLOB,"
            " PRIMARY KEY (field, value, id)) WITHOUT ROWID"
        )
        present = self._present(connection)
        for field, column in self.columns.items():
            if column not in present:
                type_ = "BLOB" if self.kind.fields[field] is FieldType.TEXT else "INTEGER"
                execute(f"ALTER TABLE {self.record} ADD COLUMN {column} {type_}")
                if self.kind.fields[field] is FieldType.SET:
                    continue
                # The newest first with ascending ids is the index backwards.
                direction = "DESC" if self.kind.fields[field] is FieldType.INT else "ASC"
                execute(
                    f"CREATE INDEX {self.index(field)} ON {self.record} ({column}, id {direction})"
                )

    def exists(self, connection: sqlite3.Connection) -> bool:
        """Whether a database has all that the kind needs."""
        known = connection.execute(
            "SELECT segments FROM kinds WHERE name = ?", (encode(self.kind.name),)
        ).fetchone()
        if known is None or known[0] < self.kind.segments:
            return False
        return set(self.columns.values()) <= self._present(connection)

    def _present(self, connection: sqlite3.Connection) -> set[str]:
        return {f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({self.record})")}


def _identifier(name: str) -> str:
    """Return the name if it is plain, else its bytes: SQL knows no case and no NUL in names."""
    return name if re.fullmatch(r"[a-z0-9_]+", name) else "~" + encode(name).hex()
