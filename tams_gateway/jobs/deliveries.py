"""Delivery of events from the outbox to the sinks, each at its own pace."""

import threading
from collections.abc import Mapping

import msgspec
import structlog

from tams_gateway.events.sink import EventSink
from tams_gateway.operations.kinds import CURSOR
from tams_gateway.storage.changes import ABSENT, Forget, Put
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.metadata import MetadataStore

_BATCH = 100
_LONGEST_PAUSE = 60.0


class _Cursor(msgspec.Struct, frozen=True):
    cursor: str | None


_decoder = msgspec.json.Decoder(_Cursor)


class Deliveries:
    """Delivers to every sink at least once and in order, in a thread for each.

    A sink that fails gets the same events again, after growing pauses; it holds up no other. Its
    cursor is a record, moved by compare-and-swap after each delivery, so that of several
    processes one moves it. Only the holder of the lease runs this.
    """

    def __init__(self, metadata: MetadataStore, sinks: Mapping[str, EventSink]) -> None:
        self._metadata = metadata
        self._sinks = sinks
        self._log = structlog.get_logger("tams_gateway.deliveries")
        self._active = threading.Event()
        self._stopped = threading.Event()
        self._woken = {name: threading.Event() for name in sinks}
        self._threads = [
            threading.Thread(
                target=self._serve, args=(name, sink), name=f"sink-{name}", daemon=True
            )
            for name, sink in sinks.items()
        ]

    def start(self) -> None:
        """Start the threads; they deliver once this process is active."""
        for thread in self._threads:
            thread.start()

    def activate(self, active: bool) -> None:
        """Deliver, or leave it to the process that has the lease now."""
        if active:
            self._active.set()
        else:
            self._active.clear()

    def wake(self) -> None:
        """Tell the threads that there may be events."""
        for woken in self._woken.values():
            woken.set()

    def stop(self, timeout: float) -> None:
        """Stop after the delivery in hand; one that outlasts `timeout` comes again later."""
        self._stopped.set()
        self._active.set()
        self.wake()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout)

    def _serve(self, name: str, sink: EventSink) -> None:
        pause = 0.5
        while not self._stopped.is_set():
            self._active.wait()
            try:
                delivered = not self._stopped.is_set() and self.deliver(name, sink)
            except Exception as error:
                # A sink may raise anything, and must not stop the others.
                self._log.warning("delivery_failed", sink=name, error=repr(error), pause=pause)
                self._stopped.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = 0.5
            if not delivered:
                self._woken[name].wait(0.5)
                self._woken[name].clear()

    def deliver(self, name: str, sink: EventSink) -> bool:
        """Deliver the next events to one sink; return whether there were any."""
        record = self._metadata.get(CURSOR, [name]).get(name)
        after = None if record is None else _decoder.decode(record.body).cursor
        events = self._metadata.events(after, _BATCH)
        if not events.items:
            return False
        sink.deliver(events.items)
        moved = msgspec.json.encode(_Cursor(events.cursor))
        expect = ABSENT if record is None else record.version
        try:
            self._metadata.apply([Put(CURSOR, name, moved, {}, expect)])
            self._forget(events.cursor)
        except ConflictError:
            self._log.info("delivered_twice", sink=name)
        return True

    def _forget(self, cursor: str) -> None:
        """Drop what every sink has got: when the last of them comes to where the others are."""
        records = self._metadata.get(CURSOR, list(self._sinks)).values()
        cursors = {_decoder.decode(record.body).cursor for record in records}
        if len(records) == len(self._sinks) and cursors == {cursor}:
            self._metadata.apply([Forget(cursor)])
