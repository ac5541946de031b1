"""Measures what the metadata store `vast` asks of a cluster, and what that costs.

    python -m benchmarks.vast URL [--part NAME] [--length NUMBER]

Whatever speaks VAST's protocol may be at the URL. The keys and the bucket are those of
`VAST_ACCESS_KEY`, `VAST_SECRET_KEY` and `VAST_BUCKET`; everything is in the schema
`tams-benchmark` there.
"""

import argparse
import itertools
import os
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
from tams_gateway_vast.metadata import VastMetadata
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.writing import queues

from tams_gateway.domain.timerange import SECOND, Span
from tams_gateway.operations.kinds import FLOW
from tams_gateway.plugin import Secret
from tams_gateway.storage.changes import AddSegments, Put
from tams_gateway.storage.query import SegmentQuery
from tams_gateway.storage.records import Segment

from . import servers
from .costs import costs
from .counted import Count, counted
from .load.operations import OPERATIONS
from .load.rounds import Load, take_turns
from .load.site import segment

PARTS: Final = ("joined", "long", "costs")

_CALLERS: Final = 16
_BULK: Final = 10_000


@contextmanager
def opened(endpoint: str) -> Iterator[VastMetadata]:
    """Open a store until the end of the block."""
    settings = Settings(
        endpoints=(endpoint,),
        access_key=Secret(os.environ["VAST_ACCESS_KEY"]),
        secret_key=Secret(os.environ["VAST_SECRET_KEY"]),
        bucket=os.environ["VAST_BUCKET"],
        schema=servers.PLACE,
    )
    silent = structlog.wrap_logger(structlog.ReturnLogger())
    with closing(VastMetadata(settings, silent, time.time)) as store:
        yield store


def added(flow_id: str, first: int, count: int = 1) -> AddSegments:
    """Return the change that adds so many segments of a second to a flow, from a second on."""
    seconds = range(first, first + count)
    segments = [
        Segment(
            at * SECOND, (at + 1) * SECOND, f"{flow_id}/{at}", segment("object", at).encode(), 1
        )
        for at in seconds
    ]
    return AddSegments(flow_id, 0, segments, 1)


def joined_in_store(endpoint: str, rounds: int, seconds: float) -> None:
    """Measure joined writing against unjoined, by threads that call the store."""
    together = queues.CALLERS
    rates: dict[int, list[float]] = {together: [], 1: []}
    with opened(endpoint) as store:
        for number in range(rounds):
            for callers in (together, 1) if number % 2 else (1, together):
                queues.CALLERS = callers  # type: ignore[misc]
                rates[callers].append(_written(store, seconds))
    queues.CALLERS = together  # type: ignore[misc]
    _show("calls of the store", rates[together], rates[1])


def _written(store: VastMetadata, seconds: float) -> float:
    """Return how many segments a second all callers add to one new flow."""
    flow_id, numbers = str(uuid.uuid4()), itertools.count()
    store.apply([Put(FLOW, flow_id, b"{}", {"life": 0})])
    start = time.monotonic()

    def write(_: int) -> int:
        for times in itertools.count():
            if time.monotonic() - start >= seconds:
                return times
            store.apply([added(flow_id, next(numbers))])
        raise AssertionError

    with ThreadPoolExecutor(_CALLERS) as pool:
        count = sum(pool.map(write, range(_CALLERS)))
    return count / (time.monotonic() - start)


def joined_over_http(endpoint: str, server: str, rounds: int, seconds: float) -> None:
    """Measure the same by POSTs of one segment to two gateways."""
    servers.STORES["vast"] = servers.vast(endpoint)
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        servers.gateway(server, "vast", Path(one)) as usual,
        servers.changed("unjoined", server, "vast", Path(other)) as changed,
    ):
        joined, unjoined = (
            Load(OPERATIONS["post-segment"](site, "post-segment", 0), _CALLERS)
            for site in (usual, changed)
        )
        take_turns((joined, unjoined), rounds, seconds)
    _show(f"POSTs, {server}", joined.rates, unjoined.rates)


def _show(title: str, joined: Sequence[float], unjoined: Sequence[float]) -> None:
    ratios = sorted(one / other for one, other in zip(joined, unjoined, strict=True))
    rates = " | ".join(f"{statistics.median(one):.0f}" for one in (joined, unjoined))
    ratio = f"{statistics.median(ratios):.1f} [{ratios[0]:.1f}..{ratios[-1]:.1f}]"
    print(f"| {title} | {rates} | {ratio} |", flush=True)


def joined(endpoint: str, server: str, rounds: int, seconds: float) -> None:
    """Print the segments a second that 16 callers add to one flow, joined and unjoined."""
    print(f"\n| {_CALLERS} callers, one flow | joined, segments/s | unjoined | ratio |")
    print("|---|---|---|---|", flush=True)
    joined_in_store(endpoint, rounds, seconds)
    joined_over_http(endpoint, server, rounds, seconds)


def long(endpoint: str, length: int, count: Count, times: int = 50) -> None:
    """Print the requests and rows that reads of a long flow take."""
    with opened(endpoint) as store:
        flow_id = _filled(store, length)
        chance = random.Random(length)
        print(f"\n| in a flow of {length} segments | requests | rows read / returned | the most |")
        print("|---|---|---|---|", flush=True)
        for title, query in _reads(flow_id, length, chance).items():
            requests, shares = [], []
            for _ in range(times):
                asked = query()
                count.start()
                found = store.segments(asked).items
                assert len(found) == asked.limit, asked
                requests.append(count.requests)
                shares.append(count.rows / len(found))
            figures = statistics.mean(requests), statistics.mean(shares), max(shares)
            print("| {} | {:.1f} | {:.2f} | {:.2f} |".format(title, *figures), flush=True)


def _reads(
    flow_id: str, length: int, chance: random.Random
) -> dict[str, Callable[[], SegmentQuery]]:
    def at() -> int:
        return chance.randrange(1000, length - 1000) * SECOND

    def query(**more: Any) -> SegmentQuery:
        return SegmentQuery(flow_id, 0, **more)

    def within(seconds: int, **more: Any) -> SegmentQuery:
        start = at()
        return query(span=Span(start, start + seconds * SECOND), **more)

    return {
        "100 within their time": lambda: within(100),
        "100 from a time on": lambda: query(span=Span(at(), length * SECOND)),
        "the page behind one": lambda: query(after=at()),
        "100 up to a time, backwards": lambda: query(span=Span(0, at()), reverse=True),
        "the last 100, backwards": lambda: query(reverse=True),
        "1000 within their time": lambda: (
            within(1000, limit=1000) if length > 2000 else within(100)
        ),
        "one by its time": lambda: within(1, limit=1),
        "the latest": lambda: query(reverse=True, limit=1),
    }


def _filled(store: VastMetadata, length: int) -> str:
    """Return the id of a flow with so many segments; what is missing is made."""
    flow_id = f"benchmark-{length}"
    if not store.get(FLOW, [flow_id]):
        store.apply([Put(FLOW, flow_id, b"{}", {"life": 0})])
    ends = store.extent(flow_id, 0)
    there = ends[1].end_ns // SECOND if ends is not None else 0
    for first in range(there, length, _BULK):
        store.apply([added(flow_id, first, min(_BULK, length - first))])
    return flow_id


def beside_sqlite(endpoint: str, count: Count) -> None:
    """Print the requests and the CPU of operations, beside those of a gateway on SQLite."""
    print("\n| operation | requests to VAST | CPU, VAST | CPU, SQLite |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        on_vast = costs(servers.vast(endpoint), Path(folder), count)
        on_sqlite = costs(servers.STORES["sqlite"], Path(folder), count)
    for title, cost in on_vast.items():
        other = on_sqlite[title]
        print(f"| {title} | {cost.requests:g} | {cost.cpu:.2f} ms | {other.cpu:.2f} ms |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vast", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("endpoint", help="the URL of a cluster")
    add("--part", action="append", choices=PARTS, help="may be given again; all by default")
    add("--server", choices=servers.SERVERS, default="gunicorn", help="of joined POSTs")
    add("--rounds", type=int, default=7, help="of joined writing")
    add("--seconds", type=float, default=2.0, help="of each turn of joined writing")
    add("--length", type=int, default=1_000_000, help="segments of the long flow")
    chosen = parser.parse_args()
    parts = chosen.part or PARTS
    if "joined" in parts:
        joined(chosen.endpoint, chosen.server, chosen.rounds, chosen.seconds)
    count = counted()
    if "long" in parts:
        long(chosen.endpoint, chosen.length, count)
    if "costs" in parts:
        beside_sqlite(chosen.endpoint, count)


if __name__ == "__main__":
    main()
