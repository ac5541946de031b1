"""What is decided in memory: overlaps, windows, texts, and whose commit it was."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tams_gateway_vast.tables import parts, texts
from tams_gateway_vast.writing.shards import Shard, history_with
from tams_gateway_vast.writing.timeline import StoredSegment, Timeline, windows

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.records import Segment
from tams_gateway.testing.metadata_samples import segment

_SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 8)).map(lambda one: (one[0], sum(one))),
    max_size=12,
)


def _apart(spans: list[tuple[int, int]]) -> list[Segment]:
    """Return segments of those spans that overlap none before them."""
    kept: list[Segment] = []
    for start, end in spans:
        if all(end <= one.start_ns or one.end_ns <= start for one in kept):
            kept.append(segment(start, end))
    return kept


@given(stored=_SPANS, rounds=st.lists(st.tuples(st.booleans(), _SPANS), max_size=6))
def test_a_timeline_tells_overlaps_and_what_is_to_be_written(
    stored: list[tuple[int, int]], rounds: list[tuple[bool, list[tuple[int, int]]]]
) -> None:
    first = _apart(stored)
    timeline = Timeline([StoredSegment(at, one, None) for at, one in enumerate(first)])
    model = {one.end_ns: one for one in first}
    for adds, spans in rounds:
        if not adds:
            gone = [one for at, one in enumerate(list(model.values())) if at % 2]
            timeline.remove(gone)
            for one in gone:
                del model[one.end_ns]
            continue
        new = _apart(spans)
        met = {
            at: min(hits, key=lambda hit: hit.start_ns)
            for at, one in enumerate(new)
            if (hits := [m for m in model.values() if _meet(m, one)])
        }
        assert met == timeline.overlaps(new)
        if not met:
            timeline.add(new)
            model.update({one.end_ns: one for one in new})
    assert all(timeline.has(one) for one in model.values())
    assert not timeline.has(segment(1000, 1001))
    removed = [one.segment for one in timeline.removed()]
    written = [one for one in first if one not in removed] + timeline.added()
    assert sorted(model.values(), key=_end) == sorted(written, key=_end)


def _meet(one: Segment, other: Segment) -> bool:
    return one.start_ns < other.end_ns and other.start_ns < one.end_ns


def _end(one: Segment) -> int:
    return one.end_ns


@given(_SPANS, st.integers(1, 4))
def test_windows_cover_all_that_is_asked_for(spans: list[tuple[int, int]], most: int) -> None:
    wanted = [Span(*one) for one in spans]
    found = windows(wanted, most)
    assert len(found) <= most
    assert all(any(window.covers(one) for window in found) for one in wanted)
    assert all(a.end < b.start for a, b in pairwise(found))


def test_windows_leave_the_widest_gaps_out() -> None:
    wanted = [Span(0, 1), Span(2, 3), Span(100, 101), Span(103, 104), Span(1000, 1001)]
    assert [Span(0, 3), Span(100, 104), Span(1000, 1001)] == windows(wanted, 3)
    assert [] == windows([])


@given(st.text(st.characters() | st.sampled_from("\ud800\udfff\uffff0a")))
def test_any_text_is_stored_as_unicode_and_comes_back(text: str) -> None:
    assert text == texts.loaded(texts.stored(text))
    texts.stored(text).encode()


@given(st.lists(st.text(st.sampled_from("\ud800\uffffd80"), max_size=6), min_size=2, unique=True))
def test_no_two_texts_are_stored_alike(some: list[str]) -> None:
    assert len(some) == len({texts.stored(one) for one in some})


def test_a_typed_text_is_cut_within_a_character() -> None:
    assert "a" * 7 == texts.cut("a" * 7)
    cut = texts.cut("a" + "\U0001f3ac" * texts.LONGEST)
    assert texts.LONGEST - 4 < len(cut.encode()) <= texts.LONGEST


@pytest.mark.parametrize("size", [0, parts.WHOLE, parts.WHOLE + 1, 3_000_000])
def test_a_body_stands_in_its_row_or_in_parts(size: int) -> None:
    long = parts.Parts()
    body, fields, number = long.fit(b"x" * size, b"{}")
    rows = long.rows()
    if size <= parts.WHOLE:
        assert (b"x" * size, b"{}", None, None) == (body, fields, number, rows)
    else:
        assert rows is not None
        assert (None, None) == (body, fields)
        assert {number} == set(rows.column("id").to_pylist())
        assert max(map(len, rows.column("data").to_pylist())) <= 120_000


def test_a_shard_knows_its_last_commits_by_their_tokens() -> None:
    """So a commit without an answer is told from one that was not made."""
    history = b""
    for token in range(1, 101):
        history = history_with(history, token)
    shard = Shard(3, 0, 100, 0, history)
    assert [True, False] == [shard.has(100, 100), shard.has(99, 100)]
    assert [True, False] == [shard.has(40, 40), shard.has(41, 40)]
    assert shard.has(101, 101) is False
    assert shard.has(36, 36) is None
    assert Shard(3, 0, 0, 0, b"").has(1, 1) is False
