"""Events in the outbox: numbered without a gap in the order of their commits."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import cast

from tams_gateway.events.event import Event, EventType
from tams_gateway.storage.metadata import Events
from tams_gateway.storage.packing import pack_fields, unpack_fields


def page(connection: sqlite3.Connection, last: int, limit: int) -> Events:
    """Return the events behind a number; the cursor is the number of the last of them."""
    rows = connection.execute(
        "SELECT seq, type, at_ns, body, fields FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
        (last, limit),
    ).fetchall()
    return Events([_event(row) for row in rows], str(rows[-1][0] if rows else last))


def emit(connection: sqlite3.Connection, events: Sequence[Event]) -> None:
    """Append events, inside a transaction."""
    last = connection.execute(
        "UPDATE counter SET events = events + ? RETURNING events", (len(events),)
    ).fetchone()[0]
    connection.executemany(
        "INSERT INTO events (seq, type, at_ns, body, fields) VALUES (?, ?, ?, ?, ?)",
        [
            (
                last - len(events) + number,
                event.type,
                event.at_ns,
                event.body,
                pack_fields(event.fields).decode(),
            )
            for number, event in enumerate(events, 1)
        ],
    )


def _event(row: tuple[int, str, int, bytes, str]) -> Event:
    _, type_, at_ns, body, fields = row
    return Event(
        cast(EventType, type_),
        at_ns,
        body,
        cast(Mapping[str, str | frozenset[str]], unpack_fields(fields.encode())),
    )
