"""The tables: those that every database has, and two for each kind of record.

Texts are stored as BLOBs of UTF-8: so lone surrogates and NUL are possible, and the order is by
code point. A record stands in `record:KIND`, packed whole (`packed.py`), and each declared field
again in a column: a scalar with an index, of a set only whether it is there. What sets hold is in
`holds:KIND`. A segment has columns for what is asked of it; `head` and `body` are the packed whole.
"""

import re
import sqlite3
from typing import Final

from tams_gateway.storage.records import FieldType, Kind

APPLICATION: Final = 0x54414D53
VERSION: Final = 2

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
    " init_object_id BLOB, head BLOB NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY (flow_id, life, end_ns)) WITHOUT ROWID",
    "CREATE INDEX segments_by_object ON segments (object_id, flow_id, life, end_ns)",
    "CREATE INDEX segments_by_init_object ON segments (init_object_id, flow_id, life, end_ns)"
    " WHERE init_object_id IS NOT NULL",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


def encode(text: str) -> bytes:
    """Return a text as it is stored."""
    return text.encode("utf-8", "surrogatepass")


def decode(stored: bytes) -> str:
    """Return the text of what is stored."""
    return stored.decode("utf-8", "surrogatepass")


class Table:
    """The tables of a kind: their names, and how they are made."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        name = _identifier(kind.name)
        self.record = f'"record:{name}"'
        self.holds = f'"holds:{name}"'
        self.columns = {field: f'"field:{_identifier(field)}"' for field in kind.fields}
        self._name = name
        self.indexed_unset: set[str] = set()
        """The fields of which `unset` is known to be there."""

    def index(self, field: str) -> str:
        """Return the name of the index of the records that have a scalar field."""
        return f'"index:{self._name}:{_identifier(field)}"'

    def unset(self, field: str) -> str:
        """Return the name of the index of those that do not, made by `index_unset`."""
        return f'"unset:{self._name}:{_identifier(field)}"'

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
            f"CREATE TABLE IF NOT EXISTS {self.record} (id BLOB PRIMARY KEY, touched INTEGER,"
            " packed BLOB NOT NULL)"
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
                    f" WHERE {column} IS NOT NULL"
                )

    def index_unset(self, connection: sqlite3.Connection, field: str) -> None:
        """Make the index of the records without a scalar field; inside a transaction.

        It is made when a query first asks for them: most objects lack most fields, nobody lists
        them by that, and each index would be one more page of every commit.
        """
        column = self.columns[field]
        connection.execute(
            f"CREATE INDEX IF NOT EXISTS {self.unset(field)} ON {self.record} (id)"
            f" WHERE {column} IS NULL"
        )

    def indexes_unset(self, connection: sqlite3.Connection, field: str) -> bool:
        """Whether a database has that index."""
        text = "SELECT 1 FROM sqlite_master WHERE name = ?"
        return connection.execute(text, (self.unset(field)[1:-1],)).fetchone() is not None

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
