"""The outbox as clients read it: from a place that they name, and on as events come."""

import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from tams_gateway.domain.errors import Invalid, Unavailable
from tams_gateway.storage.key_ring import Key, KeyRing
from tams_gateway.storage.metadata import Events, MetadataStore

BATCH: Final = 100
"""How many events are read at once."""

PAUSE: Final = 0.25
"""How long a reader waits at the end before it looks again, in seconds."""

_BATCHES: Final = 16
"""How many batches are kept for readers that come to the same place."""

_MAC: Final = 8


class EventFeed:
    """Reads the outbox for all clients of a process: those at one place share what is read there.

    `most` bounds the streams that are open at once. `ring` signs the places that clients are
    given: no store is ever asked for a cursor that it did not make.
    """

    def __init__(
        self,
        metadata: MetadataStore,
        ring: KeyRing,
        most: int,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metadata = metadata
        self._ring = ring
        self._most = most
        self._elapsed = elapsed
        self._open = 0
        self._lock = threading.Lock()
        # By cursor; an empty batch with the time until which nobody looks again.
        self._batches: OrderedDict[str, tuple[Events, float]] = OrderedDict()

    def bound(self, most: int) -> None:
        """Allow at most so many streams, where each of them holds a thread."""
        self._most = min(self._most, most)

    def enter(self) -> None:
        """Count a stream in. Raises `Unavailable` where there are too many (503)."""
        with self._lock:
            if self._open >= self._most:
                summary = f"{self._open} streams of events are open, as many as there may be"
                raise Unavailable(summary, {"Retry-After": "10"})
            self._open += 1

    def leave(self) -> None:
        """Count a stream out."""
        with self._lock:
            self._open -= 1

    def tip(self) -> str:
        """Return the cursor behind which only later events come. Raises `StoreError`."""
        return self._metadata.tip()

    def page(self, cursor: str | None, limit: int) -> Events:
        """Return events behind a cursor, None: the oldest that are kept. Raises `StoreError`."""
        return self._metadata.events(cursor, limit)

    def read(self, cursor: str) -> Events:
        """Return the next batch behind a cursor, for all who are there. Raises `StoreError`."""
        with self._lock:
            known = self._batches.get(cursor)
            if known is not None and self._elapsed() < known[1]:
                return known[0]
        found = self._metadata.events(cursor, BATCH)
        # A full batch stays what it is: with more events in it, it would be another one.
        full = len(found.items) == BATCH
        until = float("inf") if full else self._elapsed() + PAUSE
        with self._lock:
            self._batches[cursor] = (found, until)
            self._batches.move_to_end(cursor)
            while len(self._batches) > _BATCHES:
                self._batches.popitem(last=False)
        return found

    def place(self, cursor: str) -> str:
        """Return a cursor as clients get it: with a signature of ours. Raises `StoreError`."""
        return f"{cursor}.{_signature(self._ring.newest, cursor)}"

    def cursor(self, place: str, parameter: str) -> str:
        """Return the cursor of a place that a client sent back.

        Raises `Invalid`, naming the parameter, for one that is not ours, and `StoreError`.
        """
        cursor, _, signature = place.rpartition(".")
        for key in self._ring.keys:
            if hmac.compare_digest(_signature(key, cursor).encode(), signature.encode()):
                return cursor
        raise Invalid.parameter(parameter, "this is no place in the events of this gateway")


def _signature(key: Key, cursor: str) -> str:
    return blake2b(cursor.encode(), key=key.secret, digest_size=_MAC).hexdigest()
