"""Timestamps and timeranges as whole nanoseconds (R-TIME-01 to -12).

A `Span` is the half-open `[start, end)` that stores compare; a `TimeRange` also knows the marks
with which it was written. Time is discrete here, so each mark has an exact half-open equal:
`[2:0]` is `[2e9, 2e9 + 1)` (R-TIME-11).
"""

import math
import re

import msgspec

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

MIN_NS = -(2**63)
MAX_NS = 2**63 - 1
"""The bounds of time here: signed 64-bit nanoseconds (R-TIME-02)."""

TIMESTAMP = r"-?(?:0|[1-9][0-9]*):(?:0|[1-9][0-9]{0,8})"
TIMERANGE = rf"([\[(])?({TIMESTAMP})?(?:(_)({TIMESTAMP})?)?([\])])?"
"""The grammars as regular expressions without anchors (R-TIME-01, -03)."""

_TIMESTAMP_RE = re.compile(TIMESTAMP)
_TIMERANGE_RE = re.compile(TIMERANGE)


class Span(msgspec.Struct, frozen=True, order=True):
    """The half-open `[start, end)` in nanoseconds; empty where `end <= start`."""

    start: int
    end: int

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share a nanosecond."""
        return max(self.start, other.start) < min(self.end, other.end)

    def covers(self, other: "Span") -> bool:
        """Whether `other` lies wholly inside."""
        return self.start <= other.start and other.end <= self.end


ETERNITY = Span(MIN_NS, MAX_NS)


def parse_timestamp(text: str) -> int:
    """Return the nanoseconds of `seconds:nanoseconds`; the sign covers both parts (R-TIME-01).

    Raises ValueError for other text; the result may lie outside 64 bits.
    """
    if _TIMESTAMP_RE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no timestamp (seconds:nanoseconds, as in 10:0)")
    return _nanoseconds(text)


def _nanoseconds(text: str) -> int:
    seconds, nanoseconds = text.split(":")
    # A number of seconds this long lies outside 64 bits whatever follows, and int() refuses
    # very long text.
    seconds = seconds[:24]
    if text[0] == "-":
        return int(seconds) * SECOND - int(nanoseconds)
    return int(seconds) * SECOND + int(nanoseconds)


def format_timestamp(ns: int) -> str:
    """Return the canonical `seconds:nanoseconds` of `ns`."""
    if ns < 0:
        return "-" + format_timestamp(-ns)
    return f"{ns // SECOND}:{ns % SECOND}"


class TimeRange(msgspec.Struct, frozen=True):
    """A timerange as written: bounds in nanoseconds (None is infinite) and their marks.

    Build it with `parse` or `of`; the fields alone may contradict each other.
    """

    start: int | None
    end: int | None
    includes_start: bool = True
    includes_end: bool = False
    instant_with_exclusive_mark: bool = False

    @classmethod
    def parse(cls, text: str) -> "TimeRange":
        """Read any text of the schema's pattern; a missing mark counts as inclusive (R-TIME-08).

        `""` and `()` are the empty range, `_` is everything (R-TIME-04, -09). A lone timestamp
        with an exclusive mark is empty and says so in `instant_with_exclusive_mark`, so that
        bodies can refuse it (R-TIME-07). Raises ValueError for other text.
        """
        match = _TIMERANGE_RE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no timerange (as in [0:0_10:0), _ or ())")
        opening, start, underscore, end, closing = match.groups()
        if underscore is None:
            if start is None:
                return EMPTY
            if opening == "(" or closing == ")":
                return TimeRange(0, 0, True, False, True)
            instant = _nanoseconds(start)
            return cls(instant, instant, True, True)
        return cls(
            None if start is None else _nanoseconds(start),
            None if end is None else _nanoseconds(end),
            opening != "(",
            closing != ")",
        )

    @classmethod
    def of(cls, span: Span) -> "TimeRange":
        """Return `[start_end)`, the bounds of eternity being infinite."""
        return cls(
            None if span.start <= MIN_NS else span.start,
            None if span.end >= MAX_NS else span.end,
        )

    @property
    def first(self) -> int | None:
        """The first nanosecond inside, None where there is no lower bound."""
        return None if self.start is None else self.start + (not self.includes_start)

    @property
    def stop(self) -> int | None:
        """The nanosecond after the last inside, None where there is no upper bound."""
        return None if self.end is None else self.end + self.includes_end

    @property
    def empty(self) -> bool:
        """Whether no nanosecond lies inside (R-TIME-06, -11)."""
        if self.start is None or self.end is None:
            return False
        return self.end + self.includes_end <= self.start + (not self.includes_start)

    def clamp(self) -> Span:
        """Return the span of this range inside 64 bits: for queries, where nothing lies beyond."""
        first = MIN_NS if self.first is None else min(max(self.first, MIN_NS), MAX_NS)
        stop = MAX_NS if self.stop is None else min(max(self.stop, MIN_NS), MAX_NS)
        return Span(first, max(first, stop))

    def bounded_span(self) -> Span:
        """Return the exact span of a range with both bounds: for bodies.

        Raises ValueError where a bound is missing or outside 64 bits, or the range is empty.
        """
        if self.start is None or self.end is None:
            raise ValueError("a bounded timerange is needed, as in [0:0_10:0)")
        first = self.start + (not self.includes_start)
        stop = self.end + self.includes_end
        if stop <= first:
            raise ValueError("the timerange is empty")
        if first < MIN_NS or stop > MAX_NS:
            raise ValueError("a bound lies outside signed 64-bit nanoseconds")
        return Span(first, stop)

    def shift(self, by: int) -> "TimeRange":
        """Return this range moved by `by` nanoseconds, marks unchanged."""
        return TimeRange(
            None if self.start is None else self.start + by,
            None if self.end is None else self.end + by,
            self.includes_start,
            self.includes_end,
        )

    def intersect(self, other: "TimeRange") -> "TimeRange":
        """Return what both hold; each end comes, with its mark, from the range that sets it."""
        if self.empty or other.empty:
            return EMPTY
        lower = max(self, other, key=lambda one: -math.inf if one.first is None else one.first)
        upper = min(self, other, key=lambda one: math.inf if one.stop is None else one.stop)
        met = TimeRange(lower.start, upper.end, lower.includes_start, upper.includes_end)
        return EMPTY if met.empty else met

    def __str__(self) -> str:
        """Return the canonical text: both marks, `_` for everything, `()` for nothing.

        An instant has both bounds, `[t_t]`, as deployed clients need (B15); a segment's own
        timerange may be shown shorter by `short`.
        """
        if self.empty:
            return "()"
        if self.start is None and self.end is None:
            return "_"
        opening = "[" if self.includes_start and self.start is not None else "("
        closing = "]" if self.includes_end and self.end is not None else ")"
        start = "" if self.start is None else format_timestamp(self.start)
        end = "" if self.end is None else format_timestamp(self.end)
        return f"{opening}{start}_{end}{closing}"

    def short(self) -> str:
        """Return the canonical text with an instant as `[t]` (R-TIME-05), for segments."""
        if self.start == self.end and self.start is not None and not self.empty:
            return f"[{format_timestamp(self.start)}]"
        return str(self)


EMPTY = TimeRange(0, 0)
EVERYTHING = TimeRange(None, None)
