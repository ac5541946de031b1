"""URLs that were made a moment ago are given again while they hold, to any number of readers."""

import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations.recent import Recent

PERIOD = 30 * SECOND


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_what_was_made_is_kept_for_its_period_alone() -> None:
    """R-URL-10: URLs outlast the promise by a minute, and half of it is used up here."""
    recent = Recent()
    recent.made("way", PERIOD)[b"source"] = b"made"

    assert {b"source": b"made"} == recent.made("way", 2 * PERIOD - 1)
    assert {} == recent.made("way", 2 * PERIOD)


def test_it_is_gone_when_the_clock_is_set_back() -> None:
    recent = Recent()
    recent.made("way", 2 * PERIOD)[b"source"] = b"made"

    assert {} == recent.made("way", 2 * PERIOD - 1)


def test_each_way_has_its_own() -> None:
    """Filters and base URLs differ between clients."""
    recent = Recent()
    recent.made("one", 0)[b"source"] = b"made"

    assert {} == recent.made("other", 0)


def test_neither_values_nor_ways_grow_without_bound() -> None:
    """Clients choose the ways: the filters of URLs, and the name of the host."""
    recent = Recent()
    kept = recent.made("way", 0)
    kept.update((b"%d" % number, b"") for number in range(65_537))
    assert {} == recent.made("way", 0)

    recent.made("first", 0)[b"source"] = b"made"
    for number in range(100):
        recent.made(number, 0)
    assert {} == recent.made("first", 0)


@pytest.mark.usefixtures("eager_threads")
def test_threads_that_ask_in_new_ways_do_not_disturb_each_other() -> None:
    """Each listing looks through the ways while others add theirs."""
    recent, ways = Recent(), itertools.count()

    def ask(_: int) -> None:
        for _ in range(5000):
            recent.made(next(ways), 0)[b"source"] = b"made"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    assert {} == recent.made(next(ways), 0)
