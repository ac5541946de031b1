"""Reading the outbox in batches that many webhooks share, bounded in count and bytes."""

import threading
from collections import OrderedDict
from typing import Final

import msgspec

from tams_gateway.events.event import Event
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway_events.state import Place, mark

_MOST: Final = 100
_BYTES: Final = 2**20
_KEPT: Final = 16


class Batch(msgspec.Struct, frozen=True):
    """Events behind the cursor `start`; `end` is the cursor behind them.

    A `full` one will never hold more, however many events come.
    """

    start: str | None
    events: list[Event]
    end: str
    full: bool

    def first(self, place: Place) -> int:
        """Return the index of the first event that is not done, for a place in this batch."""
        done = place.done
        known = 0 < done <= len(self.events) and mark(self.events[done - 1]) == place.mark
        return done if known else 0


class Outbox:
    """Reads batches and keeps the last few; used by many threads at once."""

    def __init__(self, metadata: MetadataStore) -> None:
        self._metadata = metadata
        self._lock = threading.Lock()
        self._kept: OrderedDict[str | None, Batch] = OrderedDict()
        self._limit = _MOST

    def read(self, cursor: str | None, at_least: int = 0, *, anew: bool = False) -> Batch:
        """Return the batch behind a cursor. Raises `StoreError`.

        It has `at_least` so many events where there are as many. With `anew` it holds what has
        come by now; else one that was read before may do.
        """
        with self._lock:
            kept = self._kept.get(cursor)
            if kept is not None and (kept.full or not anew) and len(kept.events) >= at_least:
                self._kept.move_to_end(cursor)
                return kept
            batch = self._kept[cursor] = self._read(cursor, at_least)
            self._kept.move_to_end(cursor)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return batch

    def _read(self, cursor: str | None, at_least: int) -> Batch:
        limit = max(self._limit, at_least)
        found = self._metadata.events(cursor, limit)
        full = len(found.items) == limit
        sizes = [len(event.body) for event in found.items]
        fitting = max(_fitting(sizes), at_least, 1)
        if fitting < len(sizes):
            # Only the store knows the cursor in between.
            found, full = self._metadata.events(cursor, fitting), True
        if sizes:
            average = max(sum(sizes) // len(sizes), 1)
            self._limit = min(max(_BYTES // average, 1), _MOST)
        return Batch(cursor, found.items, found.cursor, full)


def _fitting(sizes: list[int]) -> int:
    """Return how many of the events lie within the bound together."""
    total = 0
    for count, size in enumerate(sizes):
        total += size
        if total > _BYTES:
            return count
    return len(sizes)
