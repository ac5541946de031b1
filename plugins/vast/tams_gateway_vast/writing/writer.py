"""Makes changes in transactions: one after another in each shard, and of one flow together.

A transaction reads the rows of its shards, then all that its changes concern, decides in memory,
writes the difference, and counts itself in its shards. The guard sees to it that of two
transactions which meet in a shard one fails; it is rolled back and begun anew.
"""

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from tams_gateway.events.event import Event
from tams_gateway.storage.changes import (
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    ExpectTouched,
    Forget,
    Put,
)
from tams_gateway.storage.errors import ConflictError, OverlapError, StoreError
from tams_gateway_vast.reading import outbox
from tams_gateway_vast.tables import rows
from tams_gateway_vast.tables.layout import EVENTS, Layouts
from tams_gateway_vast.transport.border import Away, Rival, Unsettled
from tams_gateway_vast.transport.cluster import Cluster, Transaction
from tams_gateway_vast.writing import shards
from tams_gateway_vast.writing.differences import differences
from tams_gateway_vast.writing.guards import Guard
from tams_gateway_vast.writing.journal import Journal
from tams_gateway_vast.writing.plan import Plan
from tams_gateway_vast.writing.queues import Job, Queues
from tams_gateway_vast.writing.shards import Shard, shard_of
from tams_gateway_vast.writing.state import State, read

_LONGEST_WAIT: Final = 0.5
"""Seconds between two attempts, at most; it begins with a hundredth of that."""

_OUTBOX: Final = 0
"""The shard of those who make the outbox forget."""


class Writer:
    """Writes for all threads of a process.

    `count` is the number of shards, `patience` for how many seconds changes are tried again.
    """

    def __init__(
        self,
        cluster: Cluster,
        layouts: Layouts,
        guard: Guard,
        journal: Journal,
        count: int,
        patience: float,
    ) -> None:
        self._cluster = cluster
        self._layouts = layouts
        self._guard = guard
        self._journal = journal
        self._patience = patience
        # In a process rivals wait for each other, which is cheaper than to fail.
        self._locks = [threading.Lock() for _ in range(count)]
        self._queues = Queues(self._commit)

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes all together or not at all; see `MetadataStore.apply`."""
        if not changes:
            return
        job = Job(changes)
        flow_ids = {one.flow_id for one in changes if isinstance(one, AddSegments | DropSegments)}
        if len(flow_ids) == 1:
            self._queues.run(flow_ids.pop(), job)
        else:
            self._commit([job])
        if job.error is not None:
            raise job.error

    def _commit(self, jobs: Sequence[Job]) -> None:
        """Commit for several callers; what one of them must not do hurts no other."""
        numbers = sorted({self._shard(name) for job in jobs for name in _names(job.changes)})
        try:
            with self._held(numbers):
                self._try(jobs, numbers)
        except StoreError as error:
            # What is wrong with one of them is found alone; a cluster fails for all.
            if len(jobs) == 1 or isinstance(error, Away | Rival | Unsettled):
                for job in jobs:
                    job.error = error
                return
            for job in jobs:
                self._commit([job])

    def _shard(self, name: str | None) -> int:
        return _OUTBOX if name is None else shard_of(name, len(self._locks))

    @contextmanager
    def _held(self, numbers: Sequence[int]) -> Iterator[None]:
        with ExitStack() as held:
            for number in numbers:
                held.enter_context(self._locks[number])
            yield

    def _try(self, jobs: Sequence[Job], numbers: Sequence[int]) -> None:
        """Attempt until it is done or patience ends. Raises `StoreError`."""
        ends = time.monotonic() + self._patience
        wait = _LONGEST_WAIT / 100
        while True:
            failure: StoreError = Rival("others were faster, again and again; try again")
            try:
                if self._attempt(jobs, numbers):
                    return
            except (Rival, Away) as error:
                failure = error
            pause = random.uniform(0, wait)
            if time.monotonic() + pause >= ends:
                raise failure
            time.sleep(pause)
            if wait == _LONGEST_WAIT:
                # The rival may be a process that is no more.
                self._journal.end_those_left(self._cluster.rollback)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _attempt(self, jobs: Sequence[Job], numbers: Sequence[int]) -> bool:
        """Whether it is done. Raises `Rival` and `Away`, after which nothing is."""
        transaction = self._cluster.begin()
        self._journal.begun(transaction.txid)
        commits: dict[int, int] = {}
        token = _random()
        try:
            met = shards.read(transaction, numbers)
            commits = {number: one.commits for number, one in met.items()}
            self._guard.enter(transaction, commits)
            state = read(transaction, self._layouts, [one for job in jobs for one in job.changes])
            wanted = _made(jobs, state)
            if wanted:
                self._write(transaction, state, met, token)
                self._guard.seal(transaction, commits, token)
        except BaseException:
            self._end(transaction, commits)
            raise
        if not wanted:
            self._end(transaction, commits)
            return True
        committed = self._cluster.commit(transaction)
        self._journal.ended(transaction.txid)
        self._guard.leave(transaction, commits)
        return self._is_there(token, commits) if committed is None else committed

    def _end(self, transaction: Transaction, commits: Mapping[int, int]) -> None:
        """Roll back, through whatever endpoint answers: others may wait for its end."""
        self._cluster.rollback(transaction.txid)
        self._journal.ended(transaction.txid)
        self._guard.leave(transaction, commits)

    def _write(
        self, transaction: Transaction, state: State, met: Mapping[int, Shard], token: int
    ) -> None:
        plan = differences(transaction, self._layouts, state)
        if state.forget is not None:
            outbox.forget(transaction, plan, state.forget)
        emitted = self._emit(plan, state.events, met)
        plan.send(transaction)
        shards.write(transaction, met, token, emitted)

    def _emit(
        self, plan: Plan, events: Sequence[Event], met: Mapping[int, Shard]
    ) -> Mapping[int, int]:
        """Give the events numbers in their shards; return how many each got."""
        counts: Counter[int] = Counter()
        for ordinal, event in enumerate(events):
            number = self._shard(_stream(event))
            counts[number] += 1
            position = outbox.position(number, met[number].events + counts[number])
            plan.insert(EVENTS, rows.event_row(position, ordinal, event, plan.parts))
        return counts

    def _is_there(self, token: int, commits: Mapping[int, int]) -> bool:
        """Whether a commit without an answer was made; what it wrote tells."""
        number, before = next(iter(commits.items()))
        try:
            found = self._cluster.read(lambda transaction: shards.read(transaction, [number]))
        except Away as error:
            raise Unsettled(str(error)) from error
        has = found[number].has(token, before + 1)
        if has is None:
            raise Unsettled(
                "no answer came to a commit, and too many others followed to tell whether it was"
                " made; read again"
            )
        return has


def _made(jobs: Sequence[Job], state: State) -> bool:
    """Make the changes of each job in memory; whether any could be made."""
    for job in jobs:
        try:
            state.make(job.changes, _random())
            job.error = None
        except (ConflictError, OverlapError) as error:
            job.error = error
    return any(job.error is None for job in jobs)


def _random() -> int:
    """Return a number that never came before: what is positive in 63 bits, by chance alone."""
    return secrets.randbits(62) + 1


def _stream(event: Event) -> str:
    """Return whose events come in order: those of a flow, else of a source."""
    name = event.fields.get("flow_id") or event.fields.get("source_id")
    return name if isinstance(name, str) else ""


def _names(changes: Sequence[Change]) -> Iterator[str | None]:
    """Yield the ids whose shards a transaction must have for itself; None for the outbox."""
    for change in changes:
        match change:
            case Put() | Delete() | Expect() | ExpectTouched():
                yield change.id
            case AddSegments() | DropSegments():
                yield change.flow_id
            case Emit():
                yield from map(_stream, change.events)
            case Forget():
                yield None
