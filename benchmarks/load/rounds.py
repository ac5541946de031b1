"""Lets loads take turns, round after round, and tells what each cost.

Neighbours on a machine come and go, so a figure of one load says little; in a round all loads
work within a second or two, the order flips every round, and the ratios within the rounds hold.
"""

import os
import pickle
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from . import cpu
from .operations import Operation
from .wire import LoadError, Tally, drive

BUSY: Final = 0.7
"""Above this share of the time the driver itself may be what is slow."""


@dataclass
class Load:
    """An operation, sent over so many connections from so many processes."""

    operation: Operation
    connections: int = 8
    processes: int = 1
    rates: list[float] = field(default_factory=list)
    """Requests a second, of each round."""
    times: list[int] = field(default_factory=list)
    """Of each answer, in nanoseconds."""
    spent: float = 0.0
    """CPU time of the server, in seconds."""
    driver: list[float] = field(default_factory=list)
    """The share of each round that the driver, or the busiest of its processes, worked."""
    _likely: int = 0

    def work(self, seconds: float, *, counts: bool = True) -> None:
        """Send for some seconds, and note what came of it if it counts."""
        pid = self.operation.site.pid
        likely = max(2 * self.connections, self._likely)
        batch = self.operation.batch(self.processes, likely)
        before = cpu.spent(pid) if pid is not None else 0.0
        tallies = self._drive(batch, seconds)
        spent = cpu.spent(pid) - before if pid is not None else 0.0
        number = sum(len(tally.times) for tally in tallies)
        elapsed = max(tally.elapsed for tally in tallies)
        self._likely = int(number * max(1.0, seconds / elapsed))
        if not counts:
            return
        self.rates.append(number / elapsed)
        self.times += [time for tally in tallies for time in tally.times]
        self.spent += spent
        self.driver.append(max(tally.busy / tally.elapsed for tally in tallies))

    def _drive(self, batch: Sequence[Iterator[bytes]], seconds: float) -> list[Tally]:
        def one(share: int) -> Tally:
            connections = len(range(share, self.connections, self.processes))
            operation = self.operation
            return drive(operation.target, batch[share], operation.expected, connections, seconds)

        return [one(0)] if self.processes == 1 else _in_processes(one, self.processes)

    def figures(self) -> dict[str, Any]:
        """Return what it came to: rates per second, CPU in microseconds, times in milliseconds."""
        ordered = sorted(self.times)
        found: dict[str, Any] = {
            "server": self.operation.site.url,
            "connections": self.connections,
            "requests": len(ordered),
            "requests_per_second": round(statistics.median(self.rates), 1),
            "p50_ms": round(_at(ordered, 0.5) / 1e6, 3),
            "p99_ms": round(_at(ordered, 0.99) / 1e6, 3),
            "driver_busy": round(statistics.median(self.driver), 2),
        }
        if self.operation.site.pid is not None:
            found["cpu_us"] = round(self.spent / len(ordered) * 1e6, 1)
        return found


@dataclass(frozen=True)
class Ratio:
    """How many of one's requests come on each of another's: the median, and both ends.

    `cpu` is how often the other's CPU time per request goes into one's.
    """

    median: float
    lowest: float
    highest: float
    cpu: float | None

    @classmethod
    def of(cls, one: Load, other: Load) -> "Ratio":
        """Compare two loads that took turns."""
        ratios = [mine / its for mine, its in zip(one.rates, other.rates, strict=True)]
        cost = None
        if one.spent and other.spent:
            cost = other.spent / len(other.times) * len(one.times) / one.spent
        return cls(statistics.median(ratios), min(ratios), max(ratios), cost)


def take_turns(
    loads: Sequence[Load],
    rounds: int,
    seconds: float,
    between: Callable[[int], None] = lambda number: None,
) -> None:
    """Let the loads work in turns, in each round for some seconds, the first time uncounted.

    `between` is told each round that is over. Raises `LoadError`.
    """
    for load in loads:
        load.work(min(seconds, 0.3), counts=False)
    for number in range(rounds):
        for load in loads if number % 2 else reversed(loads):
            load.work(seconds)
        between(number + 1)


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _in_processes(work: Callable[[int], Tally], number: int) -> list[Tally]:
    """Return what the work comes to in so many processes at once. Raises `LoadError`."""
    pipes = []
    for share in range(number):
        reading, writing = os.pipe()
        if os.fork() == 0:
            with open(writing, "wb") as pipe:
                try:
                    pickle.dump(work(share), pipe)
                except LoadError as error:
                    pickle.dump(error, pipe)
            os._exit(0)
        os.close(writing)
        pipes.append(reading)
    found = []
    for reading in pipes:
        with open(reading, "rb") as pipe:
            found.append(pickle.load(pipe))
    for _ in pipes:
        os.wait()
    for one in found:
        if isinstance(one, LoadError):
            raise one
    return found
