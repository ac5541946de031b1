"""Deliveries of the process at work: which webhook gets its turn when."""

import heapq
import itertools
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from structlog.typing import FilteringBoundLogger

from tams_gateway.storage.errors import StoreError
from tams_gateway_events.courier import Courier, Outcome
from tams_gateway_events.follower import Follower
from tams_gateway_events.http import Answer
from tams_gateway_events.matching import interested
from tams_gateway_events.outbox import Outbox
from tams_gateway_events.pool import Pool
from tams_gateway_events.retries import Retries
from tams_gateway_events.roster import Roster
from tams_gateway_events.state import Place

_POLL: Final = 0.2
"""Seconds between looks for events of other processes."""

_REST: Final = 0.01
"""Seconds between looks, so that what comes close together is seen at once."""

_YIELD: Final = 0.001
"""Seconds between looks while there is more."""

_REFRESH: Final = 1.0
"""Seconds until the webhooks are read anew at the latest."""

_SHARE: Final = 50
"""Reading the webhooks takes one part of so many of the time at most."""

_SAVE: Final = 0.2
"""Seconds between saves: so much comes again when the process is killed."""

_SAVE_IDLE: Final = 60.0
"""Seconds between saves of the places of webhooks that want nothing of what comes."""

_LONGEST: Final = 7200.0
"""No pause is longer, in seconds, however the clock was set."""

_Group: TypeAlias = dict[str, Follower]


class Engine:
    """One thread that sees what comes and gives turns, and a pool of threads that has them.

    A webhook is `waiting` at a cursor with those that have come as far, `ready` for a turn, has
    one, or sleeps. `abort` ends what is being sent. Nothing in memory outlives `stop`.
    """

    def __init__(
        self,
        roster: Roster,
        outbox: Outbox,
        courier: Courier,
        retries: Retries,
        threads: int,
        per_receiver: int,
        now: Callable[[], float],
        abort: Callable[[], None],
        log: FilteringBoundLogger,
    ) -> None:
        self.trouble = ""
        self._roster = roster
        self._outbox = outbox
        self._courier = courier
        self._retries = retries
        self._threads = threads
        self._per_receiver = per_receiver
        self._now = now
        self._abort = abort
        self._log = log
        self._waiting: dict[str | None, _Group] = {}
        self._ready: deque[Follower] = deque()
        self._sleeping: list[tuple[float, int, Follower]] = []
        self._order = itertools.count()
        self._turns: Counter[str] = Counter()
        self._busy = self._failing = 0
        self._ended: queue.SimpleQueue[tuple[Follower, bool, Outcome | None]] = queue.SimpleQueue()
        self._refresh_at = self._earliest = self._save_at = self._save_idle_at = 0.0
        self._woken = threading.Event()
        self._stopped = courier.stopped
        self._pool = Pool("webhook")
        self._thread = threading.Thread(target=self._serve, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at once for events, and for webhooks that are new or changed."""
        self._refresh_at = 0.0
        self._woken.set()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._stopped.is_set()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop and save; return within the timeout."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(timeout)

    def failing_since(self) -> list[float]:
        """Return since when each webhook fails that does, in seconds since 1970."""
        states = [one.state for one in list(self._roster.followers.values())]
        return [one.failing_since for one in states if one.failing_since is not None]

    def _serve(self) -> None:
        while not self.stopped:
            try:
                more = self._look()
                self.trouble = ""
            except StoreError as error:
                more, self.trouble = False, str(error)
                self._log.error("webhooks_wait", error=str(error))
                self._stopped.wait(1.0)
            except Exception as error:
                more, self.trouble = False, repr(error)
                self._log.exception("webhooks_failed")
                self._stopped.wait(1.0)
            if not more:
                self._woken.wait(_POLL)
                self._woken.clear()
            # Requests of this process wait for the interpreter, too.
            self._stopped.wait(_YIELD if more else _REST)
        self._finish()

    def _look(self) -> bool:
        """Do all that there is to do; return whether there is more."""
        self._end_turns()
        moment = time.monotonic()
        if moment >= max(self._refresh_at, self._earliest):
            self._refresh()
        while self._sleeping and self._sleeping[0][0] <= moment:
            self._ready.append(heapq.heappop(self._sleeping)[2])
        more = [self._advance(cursor) for cursor in list(self._waiting)]
        self._give_turns()
        self._save()
        return any(more)

    def _refresh(self) -> None:
        began = time.thread_time()
        # What is asked for from here on counts for the next time.
        self._refresh_at = time.monotonic() + _REFRESH
        fresh = self._roster.refresh()
        known = self._roster.followers
        for cursor, group in list(self._waiting.items()):
            kept = {id_: one for id_, one in group.items() if known.get(id_) is one}
            if kept:
                self._waiting[cursor] = kept
            else:
                del self._waiting[cursor]
        for follower in fresh:
            self._roster.add(follower)
            self._place(follower)
        rest = (time.thread_time() - began) * _SHARE
        self._earliest = time.monotonic() + min(rest, _REFRESH)

    def _place(self, follower: Follower) -> None:
        """Put a webhook where it belongs by its state."""
        place = follower.state.place
        if follower.state.attempts:
            self._sleep(follower, follower.state.next_at - self._now())
        elif place.done:
            self._ready.append(follower)
        else:
            self._waiting.setdefault(place.cursor, {})[follower.id] = follower

    def _sleep(self, follower: Follower, seconds: float) -> None:
        end = time.monotonic() + min(seconds, _LONGEST)
        heapq.heappush(self._sleeping, (end, next(self._order), follower))

    def _advance(self, cursor: str | None) -> bool:
        """Move those that wait at a cursor on to what they want; return whether there is more."""
        batch = self._outbox.read(cursor, anew=True)
        if not batch.events:
            return False
        group = self._waiting.pop(cursor)
        for follower in list(interested(group, self._roster.index, batch.events)):
            del group[follower.id]
            follower.move(Place(cursor))
            self._ready.append(follower)
        if group:
            there = self._waiting.setdefault(batch.end, group)
            if there is not group:
                there.update(group)
        return batch.full

    def _give_turns(self) -> None:
        for _ in range(len(self._ready)):
            if self._busy >= self._threads:
                return
            follower = self._ready.popleft()
            if self._roster.followers.get(follower.id) is not follower:
                continue
            failing = follower.state.attempts > 0
            # Receivers that hang may have half of the threads: the rest is for those that work.
            if self._turns[follower.receiver] >= self._per_receiver or (
                failing and self._failing >= max(self._threads // 2, 1)
            ):
                self._ready.append(follower)
                continue
            follower.busy = True
            self._busy += 1
            self._turns[follower.receiver] += 1
            self._failing += failing
            self._pool.submit(partial(self._turn, follower, failing))

    def _turn(self, follower: Follower, failing: bool) -> None:
        outcome: Outcome | None = None
        try:
            outcome = self._courier.turn(follower)
        except StoreError as error:
            self._log.error("webhooks_wait", webhook_id=follower.id, error=str(error))
        except Exception as error:
            # It must not end the others: to its receiver it is a failure like any.
            self._log.exception("webhook_failed", webhook_id=follower.id)
            met = Answer(error=f"a fault of the gateway: {type(error).__name__}")
            follower.state = self._retries.failed(follower.state, met, self._now())
            outcome = Outcome.SLEEPS
        self._ended.put((follower, failing, outcome))
        self._woken.set()

    def _end_turns(self) -> None:
        while not self._ended.empty():
            follower, failing, outcome = self._ended.get()
            follower.busy = False
            self._busy -= 1
            self._failing -= failing
            self._turns[follower.receiver] -= 1
            if not self._turns[follower.receiver]:
                del self._turns[follower.receiver]
            if self._roster.followers.get(follower.id) is follower:
                self._go_on(follower, outcome)

    def _go_on(self, follower: Follower, outcome: Outcome | None) -> None:
        match outcome:
            case Outcome.WAITS:
                cursor = follower.state.place.cursor
                self._waiting.setdefault(cursor, {})[follower.id] = follower
            case Outcome.AGAIN:
                self._ready.append(follower)
            case Outcome.CHANGED:
                self._refresh_at = 0.0  # It is taken up anew.
            case Outcome.SLEEPS:
                self._sleep(follower, follower.state.next_at - self._now())
                if self._retries.hopeless(follower.state, self._now()):
                    self._roster.give_up(follower)
            case None:
                self._sleep(follower, 1.0)

    def _save(self) -> None:
        moment = time.monotonic()
        if moment >= self._save_idle_at:
            self._save_idle_at = moment + _SAVE_IDLE
            self._roster.clean()
            for cursor, group in self._waiting.items():
                for follower in group.values():
                    if follower.state.place.cursor != cursor:
                        follower.move(Place(cursor))
        if moment >= self._save_at:
            self._save_at = moment + _SAVE
            self._roster.save(self._roster.followers.values())

    def _finish(self) -> None:
        """Save what was done, so that little comes again."""
        end = time.monotonic() + 1.0
        while self._busy and time.monotonic() < end:
            self._abort()
            time.sleep(_REST)
            self._end_turns()
        self._pool.close()
        try:
            self._roster.save(self._roster.followers.values())
        except StoreError as error:
            self._log.warning("webhooks_not_saved", error=str(error))
