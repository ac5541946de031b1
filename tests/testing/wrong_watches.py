"""Metadata stores whose watches are wrong on purpose, each in one thing."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from tams_gateway.storage.changes import Change, Delete, Put
from tams_gateway.storage.marks import SIZE, Marks, MarkWatch
from tests.testing.wrong_metadata import InFile, InMemory


class WatchesRecords(InMemory):
    """Has watches that look at records alone, and at no segments."""

    def __init__(self) -> None:
        super().__init__()
        self._moving = threading.Lock()
        self._seen = Marks(bytearray(SIZE))

    def watch(self, ids: Sequence[str]) -> MarkWatch:
        return self._seen.watch(ids)

    def apply(self, changes: Sequence[Change]) -> None:
        records = [one.id for one in changes if isinstance(one, Put | Delete)]
        with self._moving, self._seen.changing(records):
            super().apply(changes)


class OwnMarks(InFile):
    """Moves its own watches, and not those of other processes."""

    kept_in: type[Marks] = Marks

    def _open(self) -> None:
        super()._open()
        self._connections.marks.close()
        self._connections.marks = self.kept_in(bytearray(SIZE))


class EarlyMarks(Marks):
    def changing(self, ids: Iterable[str]) -> Any:
        with super().changing(ids):
            pass
        time.sleep(0.001)
        return nullcontext()


class MovesBefore(OwnMarks):
    """Moves watches and then commits: what is read in between is taken for new."""

    kept_in = EarlyMarks


class LateMarks(Marks):
    @contextmanager
    def changing(self, ids: Iterable[str]) -> Iterator[None]:
        yield
        time.sleep(0.001)
        with super().changing(ids):
            pass


class MovesBehind(OwnMarks):
    """Commits and then moves watches: in between some are shown the new and others the old."""

    kept_in = LateMarks


class MovesAlways(InMemory):
    """Has watches that move at once, so that nothing is kept."""

    def watch(self, ids: Sequence[str]) -> Any:
        with self._lock, self._marks.changing(ids):
            return super().watch(ids)
