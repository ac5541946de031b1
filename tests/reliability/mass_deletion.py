"""What posts of segments wait for while a million others are being deleted in the background."""

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from benchmarks.load import cpu
from benchmarks.load.operations import Posts
from benchmarks.load.rounds import Load
from benchmarks.load.site import FIRST, Site

CALLERS: Final = 8


class Round(msgspec.Struct, frozen=True):
    """The median and the 99th percentile of posts, idle and during a deletion, in milliseconds.

    `deleted` is how many segments a second went meanwhile.
    """

    idle_p50: float
    idle_p99: float
    busy_p50: float
    busy_p99: float
    deleted: float


def mass_deletion(
    site: Site,
    segments: int,
    rounds: int,
    seconds: float,
    done: Callable[[int], None] = lambda _: None,
) -> list[Round]:
    """Fill a flow, delete it part by part, and return what posts waited for in each round.

    In a round they come for some seconds while nothing else is done, and then as long as the
    deletion of that part goes on.
    """
    flow_id = site.flow(segments)
    part = segments // rounds
    found = []
    for number in range(rounds):
        _rest(site)
        idle = _posts(site)
        idle.work(seconds)
        began = time.monotonic()
        location = _delete(site, flow_id, FIRST + number * part, FIRST + (number + 1) * part)
        busy = _posts(site)
        while not _is_done(site, location):
            busy.work(1.0)
        took = time.monotonic() - began
        found.append(Round(*_percentiles(idle), *_percentiles(busy), deleted=round(part / took)))
        done(number + 1)
    return found


def ratio(rounds: list[Round]) -> float:
    """Return how often the idle p99 goes into the other: the median of the rounds."""
    return statistics.median(one.busy_p99 / one.idle_p99 for one in rounds)


def _posts(site: Site) -> Load:
    load = Load(Posts(site, "post-segment", 1), CALLERS)
    load.work(0.3, counts=False)
    return load


def _delete(site: Site, flow_id: str, first: int, last: int) -> str:
    path = f"/flows/{flow_id}/segments?timerange=[{first}:0_{last}:0)"
    request: dict[str, Any] = site.call("DELETE", path)
    return f"/flow-delete-requests/{request['id']}"


def _is_done(site: Site, location: str) -> bool:
    return bool(site.call("GET", location)["status"] == "done")


def _rest(site: Site) -> None:
    """Return once the server has nothing to do: the bytes of deleted objects go after them."""
    assert site.pid is not None
    before = cpu.spent(site.pid)
    while True:
        time.sleep(1)
        after = cpu.spent(site.pid)
        if after - before < 0.1:
            return
        before = after


def _percentiles(load: Load) -> tuple[float, float]:
    figures = load.figures()
    return figures["p50_ms"], figures["p99_ms"]
