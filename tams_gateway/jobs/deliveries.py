"""Delivery of events from the outbox to the sinks, each at its own pace."""

import threading
import time
from collections.abc import Callable

import msgspec
import structlog

from tams_gateway.events.sink import EventSink, FollowsOutbox
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import CURSOR
from tams_gateway.operations.sinks import LOOK_NS, SinkState, read_state
from tams_gateway.storage.changes import ABSENT, Put
from tams_gateway.storage.errors import ConflictError, StoreError

_BATCH = 100
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0


class Deliveries:
    """Delivers to every sink at least once and in order, in a thread for each.

    A sink that fails gets the same events again, after growing pauses; it holds up no other. Its
    cursor is a record, moved by compare-and-swap after each delivery, so that of several
    processes one moves it. Only the holder of the lease runs this. A sink that follows the outbox
    itself is told in its thread whether this process is at work, and when to look.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._metadata = gateway.metadata
        self._now_ns: Callable[[], int] = gateway.now_ns
        self._log = structlog.get_logger("tams_gateway.deliveries")
        self._active = threading.Event()
        self._stopped = threading.Event()
        self._woken = {name: threading.Event() for name in gateway.sinks}
        self._threads = [
            threading.Thread(
                target=self._lead if isinstance(sink, FollowsOutbox) else self._serve,
                args=(name, sink),
                name=f"sink-{name}",
                daemon=True,
            )
            for name, sink in gateway.sinks.items()
        ]

    def start(self) -> None:
        """Start the threads; they deliver once this process is active."""
        for thread in self._threads:
            thread.start()

    def activate(self, active: bool) -> None:
        """Deliver, or leave it to the process that has the lease now."""
        if active == self._active.is_set():
            return
        if active:
            self._active.set()
        else:
            self._active.clear()
        self.wake()

    def wake(self) -> None:
        """Tell the threads that there may be events."""
        for woken in self._woken.values():
            woken.set()

    def stop(self, timeout: float) -> None:
        """Stop after the delivery in hand; one that outlasts `timeout` comes again later."""
        self._stopped.set()
        self._active.set()
        self.wake()
        end = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(end - time.monotonic(), 0.1))

    def _serve(self, name: str, sink: EventSink) -> None:
        pause = _FIRST_PAUSE
        while not self._stopped.is_set():
            self._active.wait()
            try:
                delivered = not self._stopped.is_set() and self.deliver(name, sink)
            except Exception as error:
                # A sink may raise anything, and must not stop the others.
                self._log.warning("delivery_failed", sink=name, error=repr(error), pause=pause)
                self._note(name, repr(error))
                self._stopped.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if not delivered:
                self._pause(name)

    def deliver(self, name: str, sink: EventSink) -> bool:
        """Deliver the next events to one sink; return whether there were any."""
        record = self._metadata.get(CURSOR, [name]).get(name)
        state = SinkState() if record is None else read_state(record.body)
        events = self._metadata.events(state.cursor, _BATCH)
        if not events.items:
            if state.error:
                self._note(name, "")
            return False
        sink.deliver(events.items)
        moved = msgspec.json.encode(SinkState(events.cursor))
        expect = ABSENT if record is None else record.version
        try:
            self._metadata.apply([Put(CURSOR, name, moved, {}, expect)])
        except ConflictError:
            self._log.info("delivered_twice", sink=name)
        return True

    def _lead(self, name: str, sink: FollowsOutbox) -> None:
        """Tell a sink that follows the outbox itself; it may hang, which holds up nobody else."""
        woken = False
        while not self._stopped.is_set():
            active = self._active.is_set() and not self._stopped.is_set()
            trouble = self._tell(name, sink, active, woken)
            if active:
                self._note(name, trouble)
            woken = self._pause(name)
        self._tell(name, sink, False, False)

    def _tell(self, name: str, sink: FollowsOutbox, active: bool, woken: bool) -> str:
        """Return what is wrong with it, empty for nothing."""
        try:
            sink.activate(active)
            if woken:
                sink.wake()
            health = sink.check()
        except Exception as error:
            # A sink may raise anything, and must not stop the others.
            self._log.warning("sink_failed", sink=name, error=repr(error))
            return repr(error)
        return "" if health.ok else health.detail

    def _pause(self, name: str) -> bool:
        """Wait for something to do; return whether somebody said that there is."""
        woken = self._woken[name].wait(0.5)
        self._woken[name].clear()
        return woken

    def _note(self, name: str, error: str) -> None:
        """Keep how a sink fares where every process sees it, if that is news."""
        now = self._now_ns()
        try:
            record = self._metadata.get(CURSOR, [name]).get(name)
            state = SinkState() if record is None else read_state(record.body)
            if state.error == error and (error or 0 <= now - state.seen < LOOK_NS):
                return
            since = state.since if state.error and error else now
            noted = msgspec.structs.replace(state, error=error, since=since, seen=now)
            expect = ABSENT if record is None else record.version
            body = msgspec.json.encode(noted)
            self._metadata.apply([Put(CURSOR, name, body, {}, expect)])
        except StoreError as failed:
            self._log.warning("sink_not_noted", sink=name, error=str(failed))
