"""Transactions: what each sees, when two of them conflict, and how each ends."""

import threading
import time
from collections.abc import Callable, Collection, Hashable

from tests.servers.vast.catalogue import Database
from tests.servers.vast.changes import Change
from tests.servers.vast.errors import Refused, bad, conflict
from tests.servers.vast.switches import Names, Rows, Switches

Key = Hashable
"""What two transactions may conflict over: a row of a table, or a name of the catalogue."""


class Transaction:
    """An open transaction: where it began, and what it has changed."""

    def __init__(self, number: int, began: int, base: Database) -> None:
        self.number = number
        self.began = began
        self.base = base
        self.view = base
        self.changes: list[Change] = []
        self.touched: dict[Key, int] = {}
        """What it has changed, with the number of the last commit at that time."""
        self.used = time.monotonic()
        self.committed = False


class Transactions:
    """All open transactions over one database. Its methods are called with `lock` held."""

    def __init__(self, database: Database, switches: Callable[[], Switches]) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.committed = database
        self.commits = 0
        self._switches = switches
        self._open: dict[int, Transaction] = {}
        self._last = 0
        self._own = 0
        self._holders: dict[Key, list[Transaction]] = {}
        self._waiting: dict[Transaction, list[Transaction]] = {}
        self._changed: dict[Key, int] = {}
        """The number of the last commit that changed each, of interest to those begun before."""

    def begin(self) -> Transaction:
        """Open a transaction."""
        self._last += 1
        return self._begun(self._last)

    def begin_own(self) -> Transaction:
        """Open one for a single call that names none; its number is not told to anybody."""
        self._own -= 1
        return self._begun(self._own)

    def _begun(self, number: int) -> Transaction:
        self._roll_back_idle()
        opened = Transaction(number, self.commits, self.committed)
        self._open[opened.number] = opened
        return opened

    def get(self, number: int) -> Transaction:
        """Return an open transaction; raise 400 or 404 where it has ended."""
        self._roll_back_idle()
        found = self._open.get(number)
        if found is None:
            status = self._switches().ended
            raise Refused(status, "InvalidArgument", f"tx_id {number} is not open")
        found.used = time.monotonic()
        return found

    def view(self, transaction: Transaction) -> Database:
        """Return what it sees: what was committed at its begin, or is now, and its own changes."""
        if self._switches().isolation == "latest" and transaction.base is not self.committed:
            transaction.view = _replayed(self.committed, transaction.changes)
            transaction.base = self.committed
        return transaction.view

    def change(self, transaction: Transaction, change: Change) -> None:
        """Do a change in a transaction; raise what it raises."""
        transaction.view = change(self.view(transaction))
        transaction.changes.append(change)

    def commit(self, transaction: Transaction) -> None:
        """Make its changes visible. A conflict rolls it back and raises 409."""
        try:
            self._check_at_commit(transaction)
            if transaction.changes:
                if transaction.base is self.committed:
                    self.committed = transaction.view
                else:
                    self.committed = _replayed(self.committed, transaction.changes)
        except Refused as refused:
            self.roll_back(transaction)
            raise conflict(refused.message) from refused
        if transaction.changes:
            self.commits += 1
        self._changed.update(dict.fromkeys(transaction.touched, self.commits))
        transaction.committed = True
        self._end(transaction)

    def roll_back(self, transaction: Transaction) -> None:
        """End it without a trace."""
        self._end(transaction)

    def clear(self, database: Database) -> None:
        """Roll all back, and begin with another state."""
        self.roll_back_all()
        self.committed = database

    def roll_back_all(self) -> None:
        """End all that are open."""
        for one in list(self._open.values()):
            self.roll_back(one)

    @property
    def waiting(self) -> int:
        """How many transactions wait for the end of another."""
        return len(self._waiting)

    def touch_rows(self, transaction: Transaction, keys: Collection[Key]) -> None:
        """Say that it is about to change rows; raise 409, or wait, as the switches have it."""
        switches = self._switches()
        self._touch(transaction, keys, switches.rows, switches.rows_conflict_with_committed)

    def touch_names(self, transaction: Transaction, keys: Collection[Key]) -> None:
        """Say that it is about to change names of the catalogue, as `touch_rows`."""
        switches = self._switches()
        self._touch(transaction, keys, switches.names, switches.names_conflict_with_committed)

    def _touch(
        self, transaction: Transaction, keys: Collection[Key], rule: Rows | Names, committed: bool
    ) -> None:
        if rule in ("call", "both", "waiting"):
            for key in keys:
                rivals = self._rivals(transaction, key)
                late = committed and self._changed.get(key, 0) > transaction.began
                if rule == "waiting" and not late:
                    self._wait(transaction, key)
                    # While it waits for the next one, nobody may take this one.
                    self._hold(transaction, key)
                elif rivals or late:
                    for one in (transaction, *rivals) if rule == "both" else ():
                        self.roll_back(one)
                    raise conflict(f"{key} was changed by another transaction")
        for key in keys:
            self._hold(transaction, key)

    def _hold(self, transaction: Transaction, key: Key) -> None:
        if key not in transaction.touched:
            transaction.touched[key] = self.commits
            self._holders.setdefault(key, []).append(transaction)

    def _check_at_commit(self, transaction: Transaction) -> None:
        switches = self._switches()
        for key, at in transaction.touched.items():
            row = isinstance(key, tuple) and key[0] == "row"
            rule = switches.rows if row else switches.names
            late = (
                switches.rows_conflict_with_committed
                if row
                else switches.names_conflict_with_committed
            )
            since = transaction.began if late else at
            if rule == "commit" and self._changed.get(key, 0) > since:
                raise conflict(f"{key} was changed by another transaction")

    def _rivals(self, transaction: Transaction, key: Key) -> list[Transaction]:
        return [one for one in self._holders.get(key, ()) if one is not transaction]

    def _wait(self, transaction: Transaction, key: Key) -> None:
        """Wait until nobody else holds a row; raise 409 where the switches say so."""
        while rivals := self._rivals(transaction, key):
            if any(self._waits_for(rival, transaction) for rival in rivals):
                raise conflict("deadlock")
            self._waiting[transaction] = rivals
            self.lock.wait(min(1.0, self._switches().idle))
            del self._waiting[transaction]
            self._roll_back_idle()
            transaction.used = time.monotonic()
            if transaction.number not in self._open:
                raise bad(f"tx_id {transaction.number} is not open")
            if self._switches().after_waiting == "conflict" and any(
                rival.committed for rival in rivals
            ):
                raise conflict(f"{key} was changed by another transaction")

    def _waits_for(self, one: Transaction, other: Transaction) -> bool:
        return any(
            rival is other or self._waits_for(rival, other) for rival in self._waiting.get(one, ())
        )

    def _end(self, transaction: Transaction) -> None:
        self._open.pop(transaction.number, None)
        for key in transaction.touched:
            holders = self._holders.get(key, [])
            if transaction in holders:
                holders.remove(transaction)
            if not holders:
                self._holders.pop(key, None)
        if not self._open:
            self._changed.clear()
        self.lock.notify_all()

    def _roll_back_idle(self) -> None:
        before = time.monotonic() - self._switches().idle
        for one in [one for one in self._open.values() if one.used < before]:
            self.roll_back(one)


def _replayed(database: Database, changes: list[Change]) -> Database:
    for change in changes:
        database = change(database)
    return database
