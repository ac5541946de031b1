"""Group commit: callers that wait hand their work to the one that is at it."""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.marks import Marks
from tams_gateway_sqlite.connections import Connections
from tams_gateway_sqlite.versions import Versions

Work: TypeAlias = Callable[[sqlite3.Connection], None]
"""Writes inside a transaction; what it raises takes back what it wrote, and no more."""

_BATCH: Final = 64
"""The most callers of one commit."""

_BRIEFLY: Final = 1.0
"""Seconds to wait where others have waited in vain already."""


class _Ticket:
    """One caller's work. `wake` is locked until it is done, or the caller is to lead."""

    __slots__ = ("changed", "done", "error", "wake", "work")

    def __init__(self, work: Work, changed: Sequence[str] | None) -> None:
        self.work = work
        self.changed = changed
        self.done = False
        self.error: Exception | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class Commits:
    """Commits the work of callers in groups, a savepoint each, one sync for all.

    One caller leads, if it is this process's turn to write. Else a thread waits for the turn and
    commits, since a wait for a lock cannot be ended: callers wait `patience` seconds for it.
    """

    def __init__(self, connections: Connections, versions: Versions, patience: float) -> None:
        self._connections = connections
        self._versions = versions
        self._turns = connections.turns
        self._patience = patience
        self._mutex = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._led = False
        self._asked = threading.Semaphore(0)
        self._asked_at: float | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Work, changed: Sequence[str] | None) -> None:
        """Return when the work is committed, durably; raises what it raised.

        `changed` are the ids of what it changes; None: it may be anything.

        Raises `StoreError`, and has not done it, where another process does not end its turn.
        """
        ticket = _Ticket(work, changed)
        with self._mutex:
            self._waiting.append(ticket)
            follows, self._led = self._led, True
        try:
            if not follows:
                self._lead()
            while not self._is_done(ticket):
                self._lead()
        except BaseException:
            self._withdraw(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error

    def close(self) -> bool:
        """End the thread; return whether it has, or still waits for the turn."""
        if self._thread is None:
            return True
        self._thread, waits = None, self._asked_at is not None
        self._asked.release()
        return not waits

    def _is_done(self, ticket: _Ticket) -> bool:
        """Wait for the outcome, or to be the one who leads: False. Raises `StoreError`."""
        patience = self._patience
        asked_at = self._asked_at
        if asked_at is not None:
            patience = max(patience - (time.monotonic() - asked_at), _BRIEFLY)
        if not ticket.wake.acquire(timeout=patience):
            if self._withdraw(ticket):
                raise self._turns.held_up()
            ticket.wake.acquire()
        return ticket.done

    def _withdraw(self, ticket: _Ticket) -> bool:
        """Take work back that nobody has begun; return whether it was so."""
        with self._mutex:
            if ticket not in self._waiting:
                return False
            self._waiting.remove(ticket)
            if ticket.wake.acquire(blocking=False):
                self._pass_on()
        return True

    def _lead(self) -> None:
        """Commit for those that wait, oneself among them, now or in the thread."""
        try:
            now = self._turns.take_now()
            if not now:
                self._ask()
        except BaseException:
            self._settle(self._take(None), _interrupted())
            raise
        if now:
            self._commit_waiting()

    def _ask(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="commits", daemon=True)
            self._thread.start()
        self._asked_at = time.monotonic()
        self._asked.release()

    def _serve(self) -> None:
        while True:
            self._asked.acquire()
            if self._thread is None:
                return
            self._turns.take()
            self._asked_at = None
            self._commit_waiting()

    def _commit_waiting(self) -> None:
        """Commit for the first of those that wait, and end the turn."""
        batch: list[_Ticket] = []
        failure: Exception | None = _interrupted()
        try:
            batch = self._take(_BATCH)
            if batch:
                with self._connections.writing:
                    self._connections.shorten_log()
                    writer = self._connections.writer()
                    self._versions.stock(writer, len(batch))
                    _commit(writer, self._connections.marks, batch)
            failure = None
        except (sqlite3.Error, OSError, StoreError) as error:
            failure = error
        finally:
            self._turns.end()
            self._settle(batch, failure)

    def _take(self, most: int | None) -> list[_Ticket]:
        with self._mutex:
            taken = self._waiting[:most]
            del self._waiting[:most]
        return taken

    def _settle(self, batch: list[_Ticket], failure: Exception | None) -> None:
        """Tell callers the outcome, and let the next one lead."""
        for ticket in batch:
            ticket.error = failure or ticket.error
            ticket.done = True
            ticket.wake.release()
        with self._mutex:
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the first of those that wait lead, if there is any; holds the mutex."""
        self._led = bool(self._waiting)
        if self._led:
            self._waiting[0].wake.release()


def _interrupted() -> StoreError:
    return StoreError("the commit was interrupted; try again")


def _commit(connection: sqlite3.Connection, marks: Marks, batch: list[_Ticket]) -> None:
    # SQLite copies every page that changes under a savepoint.
    together = len(batch) > 1
    connection.execute("BEGIN IMMEDIATE")
    try:
        for ticket in batch:
            if together:
                connection.execute("SAVEPOINT one")
            try:
                ticket.work(connection)
            except Exception as error:
                # Whatever it is goes to the caller whose work it is, and hurts no other.
                if not connection.in_transaction:
                    raise
                ticket.error = error
                if not together:
                    return
                connection.execute("ROLLBACK TO one")
            if together:
                connection.execute("RELEASE one")
        with _changing(marks, batch):
            connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _changing(marks: Marks, batch: list[_Ticket]) -> AbstractContextManager[None]:
    if any(ticket.changed is None for ticket in batch):
        return marks.changing_all()
    return marks.changing(one for ticket in batch for one in ticket.changed or ())
