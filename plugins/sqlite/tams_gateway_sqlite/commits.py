"""Group commit: callers that wait hand their work to the one that is at it."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from tams_gateway.storage.errors import StoreError
from tams_gateway_sqlite.connections import Connections

Work: TypeAlias = Callable[[sqlite3.Connection], None]
"""Writes inside a transaction; what it raises takes back what it wrote, and no more."""

_BATCH: Final = 64
"""The most callers of one commit."""


class _Ticket:
    """One caller's work. `wake` is locked until it is done, or the caller is to lead."""

    __slots__ = ("done", "error", "wake", "work")

    def __init__(self, work: Work) -> None:
        self.work = work
        self.done = False
        self.error: Exception | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class Commits:
    """Commits the work of callers in groups, a savepoint each, one sync for all."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._mutex = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._led = False

    def run(self, work: Work) -> None:
        """Return when the work is committed, durably; raises what it raised."""
        ticket = _Ticket(work)
        with self._mutex:
            self._waiting.append(ticket)
            follows, self._led = self._led, True
        if follows:
            ticket.wake.acquire()
        if not ticket.done:
            self._lead()
        if ticket.error is not None:
            raise ticket.error

    def _lead(self) -> None:
        """Commit for those that wait, oneself among them, and let the next one lead."""
        with self._mutex:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        failure: Exception | None = StoreError("the commit was interrupted; try again")
        try:
            with self._connections.turn():
                self._connections.shorten_log()
                _commit(self._connections.writer(), batch)
            failure = None
        except (sqlite3.Error, OSError) as error:
            failure = error
        finally:
            with self._mutex:
                heir = self._waiting[0] if self._waiting else None
                self._led = heir is not None
            for ticket in batch:
                ticket.error = failure or ticket.error
                ticket.done = True
                ticket.wake.release()
            if heir is not None:
                heir.wake.release()


def _commit(connection: sqlite3.Connection, batch: list[_Ticket]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for ticket in batch:
            connection.execute("SAVEPOINT one")
            try:
                ticket.work(connection)
            except Exception as error:
                # Whatever it is goes to the caller whose work it is, and hurts no other.
                if not connection.in_transaction:
                    raise
                connection.execute("ROLLBACK TO one")
                ticket.error = error
            connection.execute("RELEASE one")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
