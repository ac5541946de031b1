"""Windows find what is there whichever rows come of too many, and end soon."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tams_gateway_vast.reading.windows import Windows, usual

from tams_gateway.domain.timerange import SECOND, Span
from tams_gateway.storage.records import Segment
from tams_gateway.testing.metadata_samples import segment

Choice = Callable[[Sequence[Segment], int], Sequence[Segment]]
"""Which rows come where there are more than were asked for."""

CHOICES: list[Choice] = [
    lambda rows, most: rows[:most],
    lambda rows, most: rows[-most:],
    lambda rows, most: rows[:: max(len(rows) // most, 1)][:most],
]

LENGTHS = st.sampled_from([1, 1000, SECOND // 50, SECOND, 3600 * SECOND])
GAPS = st.sampled_from([0, 0, 0, 1, SECOND, 500 * SECOND, 10**6 * SECOND])
RUNS = st.lists(st.tuples(GAPS, LENGTHS, st.integers(1, 200)), min_size=1, max_size=6)


def timeline(runs: Sequence[tuple[int, int, int]]) -> list[Segment]:
    """Return runs of segments of one length, each behind a gap."""
    found, at = [], 0
    for gap, length, count in runs:
        at += gap
        found += [segment(at + n * length, at + (n + 1) * length) for n in range(count)]
        at += count * length
    return found


def look(
    there: Sequence[Segment], span: Span, count: int, choice: Choice, *, reverse: bool
) -> tuple[list[Segment], int]:
    """Return what is found, and in how many windows."""
    length = there[-1].end_ns - there[0].start_ns
    windows = Windows(span, count, usual(length, len(there), count), reverse=reverse)
    found, looks = list[Segment](), 0
    while len(found) < count and windows.left:
        looks += 1
        window, most = windows.window, windows.most
        rows = [one for one in there if window.overlaps(Span(one.start_ns, one.end_ns))]
        found += windows.learn(rows if most is None else choice(rows, most))
    return found[:count], looks


@settings(max_examples=100, deadline=None)
@given(
    runs=RUNS,
    edges=st.tuples(st.integers(-5, 2**62), st.integers(0, 2**62)),
    count=st.sampled_from([1, 2, 10, 101]),
    choice=st.sampled_from(CHOICES),
    reverse=st.booleans(),
)
def test_windows_find_the_first_of_any_timeline(
    runs: list[tuple[int, int, int]],
    edges: tuple[int, int],
    count: int,
    choice: Choice,
    reverse: bool,
) -> None:
    there = timeline(runs)
    start = edges[0] % there[-1].end_ns
    span = Span(start, start + edges[1] % there[-1].end_ns + 1)
    expected = [one for one in there if span.overlaps(Span(one.start_ns, one.end_ns))]
    found, looks = look(there, span, count, choice, reverse=reverse)
    assert (expected[::-1] if reverse else expected)[:count] == found
    assert looks <= 150


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("choice", CHOICES, ids=["first", "last", "spread"])
def test_a_flow_that_is_recorded_by_day_takes_few_windows(choice: Choice, reverse: bool) -> None:
    there = timeline([(12 * 3600 * SECOND, 6 * SECOND, 600)] * 12)
    whole = Span(there[0].start_ns, there[-1].end_ns)
    for at in range(0, 6000, 97):
        before = there[-at - 1].start_ns if reverse else there[at].end_ns
        span = Span(whole.start, before) if reverse else Span(before, whole.end)
        _, looks = look(there, span, 101, choice, reverse=reverse)
        assert looks <= (2 if 10 < at % 600 < 400 else 8), at
