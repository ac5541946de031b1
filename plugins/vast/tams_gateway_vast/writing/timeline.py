"""Some segments of one life of a flow, as a transaction has read them and then changed them."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import msgspec

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.records import Segment


class StoredSegment(msgspec.Struct, frozen=True):
    """A segment as it stands in its table: where, and in which parts."""

    row_id: int
    segment: Segment
    parts: int | None


class Timeline:
    """The segments that overlap the spans which were read; others are not known.

    They do not overlap one another, so their order by end is their order by start.
    """

    def __init__(self, stored: Iterable[StoredSegment] = ()) -> None:
        self.stored = {one.segment.end_ns: one for one in stored}
        self._now = {end: one.segment for end, one in self.stored.items()}
        self._ends = sorted(self._now)

    def has(self, segment: Segment) -> bool:
        """Whether exactly this segment is there."""
        return self._now.get(segment.end_ns) == segment

    def overlaps(self, segments: Sequence[Segment]) -> Mapping[int, Segment]:
        """Return for the index of each segment that overlaps one which is there the first such."""
        met = ((at, self._first(new)) for at, new in enumerate(segments))
        return {at: one for at, one in met if one is not None}

    def _first(self, new: Segment) -> Segment | None:
        at = bisect_right(self._ends, new.start_ns)
        if at == len(self._ends):
            return None
        met = self._now[self._ends[at]]
        return met if met.start_ns < new.end_ns else None

    def add(self, segments: Sequence[Segment]) -> None:
        """Add segments that overlap nothing."""
        self._now.update({one.end_ns: one for one in segments})
        self._ends = sorted(self._now)

    def remove(self, segments: Sequence[Segment]) -> None:
        """Remove segments that are there."""
        for one in segments:
            del self._now[one.end_ns]
        self._ends = sorted(self._now)

    def added(self) -> list[Segment]:
        """Return those that are not in the table, in order."""
        return [one for end in self._ends if (one := self._now[end]) is not self._was(end)]

    def removed(self) -> list[StoredSegment]:
        """Return those that are to be no more in the table."""
        return [one for end, one in self.stored.items() if self._now.get(end) is not one.segment]

    def _was(self, end: int) -> Segment | None:
        stored = self.stored.get(end)
        return None if stored is None else stored.segment


def windows(spans: Iterable[Span], most: int = 8) -> list[Span]:
    """Return at most so many spans that cover all, with as little between as may be."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Span(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    gaps = sorted(
        range(1, len(joined)), key=lambda at: joined[at].start - joined[at - 1].end, reverse=True
    )
    cuts = [0, *sorted(gaps[: most - 1]), len(joined)]
    return [Span(joined[a].start, joined[b - 1].end) for a, b in pairwise(cuts) if a < b]
