"""What posts of segments wait for while a million others are being deleted in the background."""

import statistics
import time
from collections.abc import Callable
from typing import Final

import msgspec

from benchmarks.load import cpu
from benchmarks.load.operations import Posts
from benchmarks.load.rounds import Load
from benchmarks.load.site import FIRST, Site

CALLERS: Final = 8

_NOTHING: Final = 0.04
"""Less CPU time in a second than any work in the background takes: a server looks for it, too."""


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

    In a round they come for some seconds while nothing else is done, then for as long while a part
    is being deleted; its rest goes without them, and so do the bytes of its objects.
    """
    flow_id = site.flow(segments)
    part = segments // rounds
    found = []
    for number in range(rounds):
        idle, busy = _posts(site), _posts(site)
        _rest(site)
        _work(idle, seconds, lambda: False)
        first = FIRST + number * part
        deletion = _Deletion(site, flow_id, first, first + part)
        _work(busy, seconds, deletion.is_done)
        deleted = deletion.rate()
        while not deletion.is_done():
            time.sleep(0.5)
        found.append(Round(*_percentiles(idle), *_percentiles(busy), deleted=deleted))
        done(number + 1)
    return found


def ratio(rounds: list[Round]) -> float:
    """Return how often the idle p99 goes into the other: the median of the rounds."""
    return statistics.median(one.busy_p99 / one.idle_p99 for one in rounds)


def _posts(site: Site) -> Load:
    load = Load(Posts(site, "post-segment", 1), CALLERS)
    load.work(0.3, counts=False)
    return load


def _work(load: Load, seconds: float, ends: Callable[[], bool]) -> None:
    """Post for some seconds, or until it ends; by the second, since a load grows by and by."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not ends():
        load.work(min(seconds, 1.0))


class _Deletion:
    """A deletion in the background of the segments between two seconds of a flow."""

    def __init__(self, site: Site, flow_id: str, first: int, last: int) -> None:
        self._site, self._first, self._last = site, first, last
        self._began = time.monotonic()
        path = f"/flows/{flow_id}/segments?timerange=[{first}:0_{last}:0)"
        request: dict[str, str] = site.call("DELETE", path)
        self._location = f"/flow-delete-requests/{request['id']}"

    def is_done(self) -> bool:
        """Whether all of it is gone."""
        return self._request()["status"] == "done"

    def rate(self) -> float:
        """Return how many segments went in a second until now."""
        took = time.monotonic() - self._began
        left = self._request()["timerange_remaining"]
        reached = self._last if left == "()" else int(left[1:].partition(":")[0])
        return round((reached - self._first) / took)

    def _request(self) -> dict[str, str]:
        found: dict[str, str] = self._site.call("GET", self._location)
        return found


def _rest(site: Site) -> None:
    """Return once the server has nothing to do: the bytes of deleted objects go after them."""
    assert site.pid is not None
    before = cpu.spent(site.pid)
    while True:
        time.sleep(1)
        after = cpu.spent(site.pid)
        if after - before < _NOTHING:
            return
        before = after


def _percentiles(load: Load) -> tuple[float, float]:
    figures = load.figures()
    return figures["p50_ms"], figures["p99_ms"]
