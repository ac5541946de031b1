"""Moves commits from the log into the database beside those who write."""

import sqlite3
import threading
from contextlib import suppress
from typing import Final

_EVERY: Final = 1000
"""How many rows change between two moves: some 2000 pages of the log."""


class Checkpoints:
    """A thread that moves commits now and then, with a connection of its own.

    Else the commit that fills the log would move them all, and whoever writes would wait for it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._moved = 0
        self._wanted = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def note(self, changed: int) -> None:
        """Tell how many rows were changed in all; move what was committed if they are enough."""
        if changed - self._moved < _EVERY:
            return
        self._moved = changed
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="checkpoints", daemon=True)
            self._thread.start()
        self._wanted.set()

    def close(self) -> None:
        """End the thread, and close the connection."""
        self._closed = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        self._connection.close()

    def _serve(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            if self._closed:
                return
            # What fails here fails as well when the log has grown long, and writers are told.
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
