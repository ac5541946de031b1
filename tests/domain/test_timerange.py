"""Timestamps and timeranges against two judges: sets of integers, and BBC's mediatimestamp."""

import itertools

import mediatimestamp.immutable as bbc
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tams_gateway.domain.timerange import (
    EMPTY,
    ETERNITY,
    EVERYTHING,
    MAX_NS,
    MIN_NS,
    SECOND,
    Span,
    TimeRange,
    format_timestamp,
    parse_timestamp,
)

LINE = range(-6, 7)
"""A time line so short that a range is the set of its nanoseconds."""

MARKS = [("[", "]"), ("[", ")"), ("(", "]"), ("(", ")"), ("", ""), ("[", ""), ("", ")")]

ANY_NS = st.integers(-(2**70), 2**70)
SMALL_NS = st.integers(-4, 4)


def stamp(ns: int) -> str:
    return format_timestamp(ns)


@st.composite
def texts(draw: st.DrawFn, bounds: st.SearchStrategy[int] = ANY_NS) -> str:
    """Any text of the schema's pattern."""
    opening, closing = draw(st.sampled_from(["", "[", "("])), draw(st.sampled_from(["", "]", ")"]))
    start = draw(st.none() | bounds.map(stamp))
    end = draw(st.none() | bounds.map(stamp))
    if draw(st.booleans()) and end is None:
        return f"{opening}{start or ''}{closing}"
    return f"{opening}{start or ''}_{end or ''}{closing}"


def model(text: str) -> set[int]:
    """Return the nanoseconds of the short time line that a text of the pattern holds."""
    opening = text[:1] if text[:1] in ("[", "(") else ""
    closing = text[-1:] if text[-1:] in ("]", ")") else ""
    inner = text[len(opening) : len(text) - len(closing)]
    if inner == "":
        return set()
    if "_" not in inner:
        exclusive = opening == "(" or closing == ")"
        return set() if exclusive else {parse_timestamp(inner)} & set(LINE)
    start, end = inner.split("_")
    return {
        one
        for one in LINE
        if (
            not start
            or one > parse_timestamp(start)
            or (one == parse_timestamp(start) and opening != "(")
        )
        and (
            not end
            or one < parse_timestamp(end)
            or (one == parse_timestamp(end) and closing != ")")
        )
    }


def held(timerange: TimeRange) -> set[int]:
    span = timerange.clamp()
    return {one for one in LINE if span.start <= one < span.end}


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0:0", 0),
        ("0:5", 5),
        ("0:500000000", 500_000_000),
        ("1:0", SECOND),
        ("-1:500000000", -1_500_000_000),
        ("-0:1", -1),
        ("-0:0", 0),
        ("1700000000:999999999", 1_700_000_000_999_999_999),
        ("9223372036:854775807", MAX_NS),
        ("-9223372036:854775808", MIN_NS),
        ("281474976710655:0", (2**48 - 1) * SECOND),
    ],
)
def test_a_timestamp_is_whole_nanoseconds(text: str, ns: int) -> None:
    """R-TIME-01, R-TIME-02: the second part is a count, the sign covers both."""
    assert ns == parse_timestamp(text)


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "0",
            ":",
            "0:",
            ":0",
            "00:0",
            "01:0",
            "0:00",
            "0:01",
            "0:1000000000",
            "+1:0",
            "1.5:0",
        ],
        *["1:-5", "--1:0", " 1:0", "1:0 ", "1:0\n", "1:0:0", "١:0", "1_0:0", "0x1:0", "1e3:0"],
    ],
)
def test_other_text_is_no_timestamp(text: str) -> None:
    """R-TIME-01, R-TIME-12: no leading zeros, no trailing newline, ASCII digits only."""
    with pytest.raises(ValueError, match="no timestamp"):
        parse_timestamp(text)


@given(ANY_NS)
def test_a_timestamp_reads_as_it_was_written(ns: int) -> None:
    """R-TIME-02: without loss, at any size."""
    assert ns == parse_timestamp(format_timestamp(ns))


@given(st.integers(-(2**47), 2**47))
def test_timestamps_are_those_of_mediatimestamp(ns: int) -> None:
    """R-TIME-01."""
    assert bbc.Timestamp.from_nanosec(ns).to_sec_nsec() == format_timestamp(ns)
    assert bbc.Timestamp.from_sec_nsec(format_timestamp(ns)).to_nanosec() == ns


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("_", "_"),
        ("[_]", "_"),
        ("(_)", "_"),
        ("()", "()"),
        ("", "()"),
        ("[", "()"),
        ("[]", "()"),
        ("(5:0)", "()"),
        ("[5:0)", "()"),
        ("[5:0]", "[5:0_5:0]"),
        ("5:0", "[5:0_5:0]"),
        ("1:0_2:0", "[1:0_2:0]"),
        ("_2:0", "(_2:0]"),
        ("[1:0_)", "[1:0_)"),
        ("1:0_", "[1:0_)"),
        ("[2:0_1:0)", "()"),
        ("[1:0_1:0)", "()"),
        ("(1:0_1:0]", "()"),
        ("[1:0_1:0]", "[1:0_1:0]"),
        ("[-0:0_-0:1)", "()"),
        ("[-1:500000000_-0:0)", "[-1:500000000_0:0)"),
        ("(9:999999999_10:0)", "()"),
    ],
)
def test_a_timerange_has_one_canonical_text(text: str, canonical: str) -> None:
    """R-TIME-03 to R-TIME-09, R-TIME-11, B15: both marks, `_` for all, `()` for nothing."""
    assert canonical == str(TimeRange.parse(text))


def test_a_segments_instant_is_written_short() -> None:
    """R-TIME-05: `[t]` for a segment, `[t_t]` for what is derived."""
    instant = TimeRange.parse("[5:0_5:0]")

    assert instant.short() == "[5:0]"
    assert str(instant) == "[5:0_5:0]"
    assert TimeRange.parse("[5:0_6:0)").short() == "[5:0_6:0)"


@pytest.mark.parametrize(
    "text",
    [
        *["x", "__", "1:0_2:0_3:0", "[[1:0_2:0)", "[1:0_2:0))", "[1:0-2:0)", "[1_2)", " _", "_ "],
        *["_\n", "[0:0_1:0)\n", "{1:0_2:0}", "]1:0_2:0[", "[1:0 _2:0)", "[00:0_1:0)"],
    ],
)
def test_other_text_is_no_timerange(text: str) -> None:
    """R-TIME-03, R-TIME-12: the whole text must fit."""
    with pytest.raises(ValueError, match="no timerange"):
        TimeRange.parse(text)


@pytest.mark.parametrize(
    ("left", "right", "overlap"),
    [
        ("[0:0_10:0)", "[10:0_20:0)", False),
        ("[0:0_10:0]", "[10:0_20:0)", True),
        ("[1:0_2:0)", "[2:0]", False),
        ("[2:0]", "[2:0_3:0)", True),
        ("(2:0_3:0)", "[2:0]", False),
        ("[0:0_10:0]", "(10:0_20:0)", False),
    ],
)
def test_marks_count_in_every_comparison(left: str, right: str, overlap: bool) -> None:
    """R-TIME-10."""
    one, other = TimeRange.parse(left).bounded_span(), TimeRange.parse(right).bounded_span()

    assert overlap == one.overlaps(other) == other.overlaps(one)


def test_every_pair_of_short_ranges_agrees_with_sets() -> None:
    """R-TIME-03, R-TIME-06, R-TIME-10: overlap, cover, intersection, order of segments."""
    written = [
        f"{opening}{stamp(start)}_{stamp(end)}{closing}"
        for (opening, closing), start, end in itertools.product(MARKS, range(-1, 2), range(-1, 2))
    ]
    written += ["_", "()", "", "[0:0]", "_0:0)", "_0:0]", "(0:0_", "[0:0_"]
    ranges = [(TimeRange.parse(text), model(text)) for text in written]
    for text, (timerange, nanoseconds) in zip(written, ranges, strict=True):
        assert nanoseconds == held(timerange), text
        assert (not nanoseconds) == timerange.empty, text
    for (one, left), (other, right) in itertools.product(ranges, repeat=2):
        assert bool(left & right) == one.clamp().overlaps(other.clamp())
        assert (left & right) == held(one.intersect(other))
        if right:
            assert (right <= left) == one.clamp().covers(other.clamp())


@given(texts(SMALL_NS))
def test_any_range_is_the_set_of_its_nanoseconds(text: str) -> None:
    """R-TIME-03 to R-TIME-11."""
    timerange = TimeRange.parse(text)

    assert model(text) == held(timerange)
    assert model(text) == held(TimeRange.parse(str(timerange)))


@given(texts())
def test_the_canonical_text_reads_as_itself(text: str) -> None:
    """R-TIME-08: a fixed point, equal in meaning; derived ends keep their marks."""
    timerange = TimeRange.parse(text)
    canonical = str(timerange)

    again = TimeRange.parse(canonical)

    assert canonical == str(again)
    assert timerange.clamp() == again.clamp() or timerange.empty
    assert timerange.empty == again.empty


@given(texts(), texts())
def test_an_intersection_ends_where_one_of_the_two_ends(left: str, right: str) -> None:
    """R-FLW-18: each end comes, with its mark, from the range that sets it."""
    one, other = TimeRange.parse(left), TimeRange.parse(right)

    met = one.intersect(other)

    if not met.empty:
        assert (met.start, met.includes_start) in [
            (found.start, found.includes_start) for found in (one, other)
        ]
        assert (met.end, met.includes_end) in [
            (found.end, found.includes_end) for found in (one, other)
        ]
    assert held(met) == held(one) & held(other)


@given(texts(SMALL_NS), SMALL_NS)
def test_a_shift_moves_each_nanosecond(text: str, by: int) -> None:
    """R-SEG-24: `timerange - ts_offset`, marks unchanged."""
    timerange = TimeRange.parse(text)
    assume(not timerange.empty)

    moved = timerange.shift(by)

    inside = set(LINE)
    assert held(moved) & inside >= {one + by for one in held(timerange)} & inside
    assert moved.includes_end == timerange.includes_end
    assert moved.shift(-by) == timerange


DIFFERENCES = """
R-TIME-07: a lone timestamp with an exclusive mark is empty here, `[t]` there.
R-TIME-11: time is discrete here, dense there: `(9:999999999_10:0)` is empty here only.
"""
"""Where we differ from mediatimestamp on purpose; every other answer must be the same."""


def differs(text: str) -> bool:
    """Whether the text is one of `DIFFERENCES`."""
    lone = "_" not in text and ("(" in text or ")" in text)
    theirs = bbc.TimeRange.from_str(text)
    neighbours = (
        theirs.start is not None
        and theirs.end is not None
        and theirs.end.to_nanosec() - theirs.start.to_nanosec() == 1
        and not (theirs.includes_start() or theirs.includes_end())
    )
    return lone or neighbours


PTP_NS = st.integers(-(2**48) + 1, 2**48 - 1)


@given(texts(PTP_NS) | texts(SMALL_NS))
def test_a_range_is_that_of_mediatimestamp(text: str) -> None:
    """R-TIME-03 to R-TIME-08, but for `DIFFERENCES`."""
    assume(not differs(text))
    ours, theirs = TimeRange.parse(text), bbc.TimeRange.from_str(text)

    assert theirs.is_empty() == ours.empty
    if not ours.empty:
        assert bbc.TimeRange.from_str(str(ours)) == theirs


@given(texts(SMALL_NS), texts(SMALL_NS))
def test_overlap_and_intersection_are_those_of_mediatimestamp(left: str, right: str) -> None:
    """R-TIME-10, but for `DIFFERENCES`."""
    assume(not differs(left) and not differs(right))
    one, other = TimeRange.parse(left), TimeRange.parse(right)
    met = bbc.TimeRange.from_str(left).intersect_with(bbc.TimeRange.from_str(right))
    assume(met.is_empty() or not differs(met.to_sec_nsec_range()))

    assert met.is_empty() == one.intersect(other).empty
    if not met.is_empty():
        # By what is inside: of `[0:2` and `(0:1`, which are one bound here, either may stand.
        theirs = TimeRange.parse(met.to_sec_nsec_range())
        assert theirs.clamp() == one.intersect(other).clamp()


@pytest.mark.parametrize("text", ["(5:0)", "[5:0)", "(5:0]", "(5:0", "5:0)"])
def test_a_lone_timestamp_with_an_exclusive_mark_says_so(text: str) -> None:
    """R-TIME-07: empty for queries, to be refused in bodies; an instant for BBC's."""
    timerange = TimeRange.parse(text)

    assert timerange.empty
    assert timerange.instant_with_exclusive_mark
    assert differs(text)
    assert bbc.TimeRange.from_str(text) == bbc.TimeRange.from_str("[5:0]")


def test_time_is_discrete() -> None:
    """R-TIME-11: what holds no nanosecond is empty."""
    assert TimeRange.parse("(9:999999999_10:0)").empty
    assert not bbc.TimeRange.from_str("(9:999999999_10:0)").is_empty()


@pytest.mark.parametrize("text", ["_", "()", "", "[5:0_", "_5:0)", "[2:0_1:0)", "(5:0)"])
def test_a_body_needs_a_bounded_range_that_holds_something(text: str) -> None:
    """R-SEG-17."""
    with pytest.raises(ValueError, match=r"bounded|empty"):
        TimeRange.parse(text).bounded_span()


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("[-9223372036:854775808_9223372036:854775807)", True),
        ("[0:0_9223372036:854775806]", True),
        ("[0:0_9223372036:854775807]", False),
        ("[0:0_9223372036:854775808)", False),
        ("[-9223372036:854775809_0:0)", False),
        ("[0:0_99999999999:0)", False),
        ("[0:0_" + "9" * 5000 + ":0)", False),
    ],
)
def test_a_body_fits_into_64_bits_also_where_a_bound_only_arises(text: str, fits: bool) -> None:
    """R-TIME-02: an inclusive end plus one counts."""
    timerange = TimeRange.parse(text)

    if fits:
        assert ETERNITY.covers(timerange.bounded_span())
    else:
        with pytest.raises(ValueError, match="64-bit"):
            timerange.bounded_span()


@given(texts())
def test_a_query_is_clamped_to_64_bits(text: str) -> None:
    """R-TIME-02: nothing lies beyond, so that any range may be asked for."""
    span = TimeRange.parse(text).clamp()

    assert MIN_NS <= span.start <= span.end <= MAX_NS


def test_eternity_is_everything() -> None:
    """R-TIME-04."""
    assert TimeRange.of(ETERNITY) == EVERYTHING
    assert EVERYTHING.clamp() == ETERNITY
    assert EMPTY.empty
    assert TimeRange.of(Span(0, SECOND)) == TimeRange.parse("[0:0_1:0)")
