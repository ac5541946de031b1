"""Which guard holds on this very cluster: shown by writers who are made to meet.

Two transactions change one row of the table `probes`, as the store changes its shards, in the
orders in which a guard may fail. That is evidence, not proof: VAST does not say what it promises.
"""

import math
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.layout import PROBES
from tams_gateway_vast.tables.rows import arrow, with_ids
from tams_gateway_vast.transport.border import Away, Rival
from tams_gateway_vast.transport.cluster import Cluster, Transaction
from tams_gateway_vast.transport.predicates import In, Is
from tams_gateway_vast.writing.guards import Guard, Name, commit_alone, guard, name_table

NAMES: Final[Sequence[Name]] = ("r", "r+", "n", "n+", "k")
"""Those that a cluster decides about, by cost.

`r+` reads once more however many the shards are, `n` renames a column for each.
"""

_WAITS: Final = 0.5
"""Seconds after which a change is taken to wait for the end of another transaction."""
_SLOW: Final = 20
"""And so many times as long as a change took that had nothing to wait for."""

_TRIES: Final = 3
_PAUSE: Final = 0.1
"""Seconds before what failed by itself is tried again."""

_Step = tuple[str, int]
_ALONE: Final[Sequence[_Step]] = (("begin", 0), ("change", 0), ("end", 0))
_BOTH_OPEN: Final[Sequence[_Step]] = (
    ("begin", 0),
    ("begin", 1),
    ("change", 0),
    ("change", 1),
    ("end", 0),
    ("end", 1),
)
_LATE: Final[Sequence[_Step]] = (
    ("begin", 0),
    ("begin", 1),
    ("change", 1),
    ("end", 1),
    ("change", 0),
    ("end", 0),
)
_OLDER_SECOND: Final[Sequence[_Step]] = (
    ("begin", 0),
    ("begin", 1),
    ("change", 1),
    ("change", 0),
    ("end", 1),
    ("end", 0),
)


class Verdict(msgspec.Struct, frozen=True):
    """Whether a guard holds on a cluster, and why not.

    `seen` says that two writers met and both committed: no second look makes that undone.
    """

    name: Name
    reason: str = ""
    seen: bool = False

    @property
    def holds(self) -> bool:
        """Whether nothing was seen that speaks against it."""
        return not self.reason


def choose(cluster: Cluster, settings: Settings) -> Guard:
    """Return the guard of the settings, for `auto` the cheapest that holds on the cluster.

    Raises `StoreError` where none does, or the one that is named does not.
    """
    if settings.guard == "process":
        return guard("process", cluster)
    reasons: list[str] = []
    for name in NAMES if settings.guard == "auto" else (settings.guard,):
        verdict = settled(name, cluster, settings)
        if verdict.holds:
            return guard(name, cluster)
        reasons.append(f"{name} ({verdict.reason})")
    remedy = "" if settings.guard == "auto" else 'guard = "auto", or '
    raise StoreError(
        f"{settings.place}: this cluster does not keep two writers apart by the guard "
        f'{", ".join(reasons)}; set {remedy}guard = "process" and run exactly one process'
    )


def settled(name: Name, cluster: Cluster, settings: Settings) -> Verdict:
    """Return whether a guard holds.

    What fails by itself is tried three times: two processes that take different guards are not kept
    apart. Where answers are lost it is tried for `patience` seconds. Raises `StoreError` where the
    cluster cannot be reached.
    """
    ends = time.monotonic() + settings.patience
    tries = 0
    while True:
        try:
            verdict = _Probe(name, cluster, settings.timeout).verdict()
        except (Away, Rival):
            if time.monotonic() > ends:
                raise
            time.sleep(_PAUSE)
            continue
        tries += 1
        if verdict.holds or verdict.seen or tries == _TRIES:
            return verdict


class _Probe:
    """Writers of one row, which nobody else knows.

    Each counts in the row, and adds one of its own: so the two tell whether both were written on
    one state.
    """

    def __init__(self, name: Name, cluster: Cluster, timeout: float) -> None:
        self._name = name
        self._cluster = cluster
        self._timeout = timeout
        self._quickest = timeout
        self._guard = guard(name, cluster, PROBES)
        self._shard = secrets.randbits(61) + 2**61

    def verdict(self) -> Verdict:
        """Put the guard to every test; clean up. Raises `StoreError` for lost answers."""
        first = arrow(PROBES, [{"shard": self._shard, "commits": 0}])
        commit_alone(self._cluster, lambda fresh: fresh.insert(PROBES, first))
        try:
            return self._tested()
        except Away:
            raise
        except StoreError as error:
            return Verdict(self._name, str(error))
        finally:
            # What is left behind is in nobody's way.
            with suppress(StoreError):
                commit_alone(self._cluster, self._clean)

    def _tested(self) -> Verdict:
        if self._name in ("n", "n+"):
            # The first makes the table, which transactions that are open do not see.
            self._run(_ALONE)
        if self._run(_ALONE) != 1:
            return Verdict(self._name, "a writer who is alone fails")
        if self._run(_BOTH_OPEN) > 1:
            return Verdict(self._name, "two open transactions both commit", seen=True)
        if self._name == "k" and self._run(_OLDER_SECOND) > 1:
            return Verdict(self._name, "one commits that another has rolled back", seen=True)
        late = self._run(_LATE)
        if late > 1:
            reason = "one commits on what has changed since its begin"
            return Verdict(self._name, reason, seen=True)
        return Verdict(self._name, "" if late else "one of two fails whose rival is late")

    def _run(self, steps: Sequence[_Step]) -> int:
        """Return how many of the writers have committed; raise `StoreError` if one was lost."""
        before, _ = self._cluster.read(self._stand)
        writers: list[_Writer] = []
        for step, number in steps:
            if step == "begin":
                writers.append(_Writer(self._cluster, self._guard, self._shard))
                # Nothing says that whoever begins first gets the lower number.
                writers.sort(key=lambda one: one.txid)
            elif step == "change":
                took = writers[number].change(self._patience)
                self._quickest = min(self._quickest, took)
            elif not writers[number].waits(0.0):
                writers[number].end()
        for writer in writers:
            if not writer.ended:
                writer.waits(self._timeout)
                writer.end()
        after, counted = self._cluster.read(self._stand)
        if after - before <= 1 and after != counted:
            raise StoreError("a change is lost")
        return after - before

    @property
    def _patience(self) -> float:
        """Seconds after which a change waits for another transaction: so slow is no cluster."""
        return min(_WAITS + _SLOW * self._quickest, self._timeout)

    def _stand(self, fresh: Transaction) -> tuple[int, int]:
        """Return how many rows were added, and what has been counted."""
        found = fresh.select(PROBES, ("shard", "commits"), (self._ours(),)).to_pylist()
        counted = [one["commits"] for one in found if one["shard"] == self._shard]
        return len(found) - len(counted), counted[0]

    def _ours(self) -> In:
        return In("shard", (self._shard, -self._shard))

    def _clean(self, fresh: Transaction) -> None:
        rows = fresh.select(PROBES, ("$row_id",), (self._ours(),))
        fresh.delete(PROBES, rows.column(0).to_pylist())
        table = name_table(self._shard, 0)
        if self._name in ("n", "n+") and table.name in fresh.tables():
            fresh.drop_table(table)


class _Writer:
    """Writes as the store does: reads its shard, is guarded, adds a row, counts it, commits."""

    def __init__(self, cluster: Cluster, guard: Guard, shard: int) -> None:
        self._cluster = cluster
        self._guard = guard
        self._shard = shard
        self._error: StoreError | None = None
        self._thread = threading.Thread(target=self._change, daemon=True)
        self.ended = False
        self._transaction = cluster.begin()
        self.txid = self._transaction.txid
        where = (Is("shard", shard),)
        found = self._transaction.select(PROBES, ("$row_id", "commits"), where).to_pylist()
        self._row_id, self._commits = int(found[0]["$row_id"]), int(found[0]["commits"])

    def change(self, patience: float) -> float:
        """Change without the commit, for no longer than so many seconds; return how many it took.

        Infinity for what failed, perhaps at its first request.
        """
        begun = time.monotonic()
        self._thread.start()
        self.waits(patience)
        return time.monotonic() - begun if self._error is None else math.inf

    def waits(self, patience: float) -> bool:
        """Whether the change is not done after so many seconds more."""
        self._thread.join(patience)
        return self._thread.is_alive()

    def end(self) -> None:
        """Commit, or roll back what failed or hangs. Raises `Away` where the change was lost."""
        self.ended = True
        hangs = self._thread.is_alive()
        if self._error is None and not hangs:
            self._cluster.commit(self._transaction)
        else:
            self._cluster.rollback(self.txid)
        self._guard.leave(self._transaction, (self._shard,))
        if hangs:
            raise Away("a change of a row waits for an end that has come; is the cluster up?")
        if self._error is not None and not isinstance(self._error, Rival):
            raise self._error

    def _change(self) -> None:
        shards = {self._shard: self._commits}
        added = arrow(PROBES, [{"shard": -self._shard, "commits": self._commits}])
        counted = with_ids(PROBES, [(self._row_id, {"commits": self._commits + 1})])
        try:
            self._guard.enter(self._transaction, shards)
            self._transaction.insert(PROBES, added)
            self._transaction.update(PROBES, counted)
            self._guard.seal(self._transaction, shards, 0)
        except StoreError as error:
            self._error = error
