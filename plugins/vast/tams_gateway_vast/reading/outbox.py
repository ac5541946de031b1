"""Reads the outbox by cursors, and makes it forget.

The rows of the shards say how many events each of them has, so what a reader has not met is known
before a row of it is read, and nothing that commits late is passed by. Events of one shard come in
the order of their commits; those of several by time, as if one merged streams by what is first in
each.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final, TypeAlias

import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway.events.event import Event
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.metadata import Events
from tams_gateway_vast.reading.cursors import Numbers, cursor, later, numbers, place, position
from tams_gateway_vast.tables import rows
from tams_gateway_vast.tables.layout import EVENTS, OUTBOX, SHARDS
from tams_gateway_vast.transport.predicates import In, Over, Term, UpTo

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Cluster, Transaction
    from tams_gateway_vast.writing.plan import Plan

__all__ = ["events", "forget", "numbers", "position", "tip"]

_ORDER: Final = ("at_ns", "ordinal")
"""The columns by which the events of several shards are put in order; those of one commit have one
time."""

_AHEAD: Final = 2000
"""So many events are looked at, without their bodies, to choose those of a page."""

_VALUES: Final = 5000
"""The most positions that one select names one by one."""

_TRIES: Final = 3
"""How often a page is begun anew because others forget what it was to hold."""

_Ranges: TypeAlias = Mapping[int, tuple[int, int]]
"""Events by shard: those behind the first number, up to the second."""


def tip(cluster: "Cluster") -> str:
    """Return the cursor behind which only later commits come."""
    return cursor(cluster.read(_last))


def events(cluster: "Cluster", after: str | None, limit: int) -> Events:
    """Return the oldest events behind a cursor, None: of those that are not forgotten.

    Raises `StoreError`, also for what is no cursor of this outbox.
    """
    met = None if after is None else numbers(after)
    return cluster.read(lambda transaction: _page(transaction, met, limit))


def forget(transaction: "Transaction", plan: "Plan", until: str) -> None:
    """Plan the removal of the events that a reader had met at a cursor. Raises `StoreError`."""
    found = transaction.select(OUTBOX, ("$row_id", "forgotten"))
    before = _forgotten(found.column("forgotten").to_pylist())
    after = later(before, numbers(until))
    _check(after, _last(transaction))
    if cursor(after) == cursor(before):
        return
    for where in _questions(_between(before, after)):
        gone = transaction.select(EVENTS, ("$row_id", "parts"), where)
        row_ids = [int(one) for one in gone.column("$row_id").to_pylist()]
        plan.delete(EVENTS, row_ids, gone.column("parts").to_pylist())
    plan.update(OUTBOX, int(found.column("$row_id")[0].as_py()), {"forgotten": cursor(after)})


def _page(transaction: "Transaction", met: Numbers | None, limit: int) -> Events:
    last = _last(transaction)
    start = _read_forgotten(transaction) if met is None else met
    _check(start, last)
    for _ in range(_TRIES):
        found = _Reader(transaction, start, last).page(limit)
        if found is not None:
            return found
        start = later(start, _read_forgotten(transaction))
    raise StoreError("table events: some are missing; restore the schema from a snapshot")


def _last(transaction: "Transaction") -> Numbers:
    """Return the number of the last event of each shard."""
    found = transaction.select(SHARDS, ("shard", "events"))
    values = [found.column(name).to_pylist() for name in ("shard", "events")]
    return dict(zip(*values, strict=True))


def _read_forgotten(transaction: "Transaction") -> Numbers:
    found = transaction.select(OUTBOX, ("forgotten",))
    return _forgotten(found.column("forgotten").to_pylist())


def _forgotten(texts: Sequence[str | None]) -> Numbers:
    if len(texts) != 1:
        raise StoreError("table outbox: expected one row; restore the schema from a snapshot")
    return numbers(texts[0]) if texts[0] else {}


def _check(met: Numbers, last: Numbers) -> None:
    if any(number > last.get(shard, 0) for shard, number in met.items()):
        raise StoreError("the cursor is of another outbox; begin without one")


def _between(start: Numbers, end: Numbers) -> dict[int, tuple[int, int]]:
    begun = {shard: (start.get(shard, 0), number) for shard, number in end.items()}
    return {shard: bounds for shard, bounds in begun.items() if bounds[0] < bounds[1]}


def _count(ranges: _Ranges) -> int:
    return sum(end - start for start, end in ranges.values())


def _questions(ranges: _Ranges) -> Iterator[list[Term]]:
    """Yield what to select by, in turn, to get all events of the ranges."""
    single = _count(ranges) <= _VALUES and len(ranges) > 1
    named: list[int] = []
    for shard, (start, end) in ranges.items():
        if single or end - start < _VALUES // len(ranges):
            named += range(position(shard, start + 1), position(shard, end) + 1)
        else:
            first, last = position(shard, start), position(shard, end)
            yield [Over("position", first), UpTo("position", last)]
    for at in range(0, len(named), _VALUES):
        yield [In("position", named[at : at + _VALUES])]


def _shares(unmet: _Ranges, count: int) -> dict[int, tuple[int, int]]:
    """Return of each shard its first events, about `count` in all and as evenly as they go."""
    shares: dict[int, tuple[int, int]] = {}
    left = count
    for done, (shard, (start, end)) in enumerate(
        sorted(unmet.items(), key=lambda one: one[1][1] - one[1][0])
    ):
        share = min(end - start, max(left // (len(unmet) - done), 1))
        shares[shard] = (start, start + share)
        left -= share
    return shares


class _Reader:
    """Reads one page of the events behind `start`, of which each shard has those up to `last`."""

    def __init__(self, transaction: "Transaction", start: Numbers, last: Numbers) -> None:
        self._transaction = transaction
        self._start = start
        self._unmet = _between(start, last)
        self._times: dict[int, tuple[int, int]] = {}

    def page(self, limit: int) -> Events | None:
        """Return at most so many events; None if some that should be there are not."""
        if not self._unmet:
            return Events([], cursor(self._start))
        if _count(self._unmet) <= limit:
            return self._read(self._unmet)
        if len(self._unmet) == 1:
            ((shard, (start, _)),) = self._unmet.items()
            return self._read({shard: (start, start + limit)})
        chosen = self._oldest(limit)
        if chosen is None:
            return None
        # Of each shard they are the first.
        ends = dict(place(at) for at in chosen)
        return self._read(
            {shard: (self._unmet[shard][0], end) for shard, end in ends.items()}, chosen
        )

    def _read(self, ranges: _Ranges, order: Sequence[int] | None = None) -> Events | None:
        """Return all events of the ranges, in this order of positions if it is known."""
        found: dict[int, Event] = {}
        for where in _questions(ranges):
            table = self._transaction.select(EVENTS, (*rows.EVENT, "ordinal"), where)
            positions = self._note(table)
            loaded = rows.events(self._transaction, table)
            found.update(zip(positions, loaded, strict=True))
        if len(found) < _count(ranges):
            return None
        if order is None:
            order = self._merged(ranges, len(found)) or ()
        ends = {shard: end for shard, (_, end) in ranges.items()}
        return Events([found[at] for at in order], cursor({**self._start, **ends}))

    def _oldest(self, limit: int) -> list[int] | None:
        """Return the positions of a page in order; None if some events are missing."""
        shares = _shares(self._unmet, max(limit, _AHEAD))
        return self._merged(shares, limit) if self._look(shares) else None

    def _look(self, ranges: _Ranges) -> bool:
        """Get the times of events; whether all of them are there."""
        count = 0
        for where in _questions(ranges):
            table = self._transaction.select(EVENTS, ("position", *_ORDER), where)
            count += len(self._note(table))
        return count == _count(ranges)

    def _note(self, table: pa.Table) -> list[int]:
        """Remember what puts events in order; return their positions."""
        positions: list[int] = table.column("position").to_pylist()
        order = zip(*(table.column(name).to_pylist() for name in _ORDER), strict=True)
        self._times.update(zip(positions, order, strict=True))
        return positions

    def _merged(self, ranges: _Ranges, limit: int) -> list[int] | None:
        """Return the positions of the first events of the streams, looking further on at need."""
        streams = {
            shard: deque(range(start + 1, end + 1)) for shard, (start, end) in ranges.items()
        }
        heads = [
            (self._times[position(shard, stream[0])], shard) for shard, stream in streams.items()
        ]
        heapify(heads)
        merged: list[int] = []
        while heads and len(merged) < limit:
            _, shard = heappop(heads)
            stream = streams[shard]
            number = stream.popleft()
            merged.append(position(shard, number))
            if not stream and len(merged) < limit and number < self._unmet[shard][1]:
                further = (number, min(number + _AHEAD, self._unmet[shard][1]))
                if not self._look({shard: further}):
                    return None
                stream.extend(range(further[0] + 1, further[1] + 1))
            if stream:
                heappush(heads, (self._times[position(shard, stream[0])], shard))
        return merged
