"""The segments of all flows, sorted by time, and which of them use an object."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.matching import first_page
from tams_gateway.storage.query import Page, SegmentQuery, UseQuery
from tams_gateway.storage.records import Segment, Use


class _Timeline:
    """The segments of one life of a flow, and their ends beside them for bisection.

    Segments do not overlap, so their order by end is their order by start.
    """

    __slots__ = ("ends", "segments")

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.segments: list[Segment] = []

    def first(self, span: Span) -> Segment | None:
        """Return the first segment that overlaps the span."""
        at = bisect_right(self.ends, span.start)
        if at == len(self.ends) or span.end <= max(span.start, self.segments[at].start_ns):
            return None
        return self.segments[at]

    def bounds(self, span: Span) -> tuple[int, int]:
        """Return the slice of the segments that overlap the span, in O(log n)."""
        if span.end <= span.start:
            return 0, 0
        low = bisect_right(self.ends, span.start)
        high = bisect_left(self.ends, span.end)
        if high < len(self.ends) and self.segments[high].start_ns < span.end:
            high += 1
        return low, max(low, high)

    def add(self, segments: Sequence[Segment]) -> None:
        """Insert segments; those that follow each other go in by one slice."""
        ordered = sorted(segments, key=lambda segment: segment.end_ns)
        while ordered:
            at = bisect_left(self.ends, ordered[0].end_ns)
            count = len(ordered)
            if at < len(self.ends):
                count = bisect_left(ordered, self.ends[at], key=lambda segment: segment.end_ns)
            run, ordered = ordered[:count], ordered[count:]
            self.ends[at:at] = [segment.end_ns for segment in run]
            self.segments[at:at] = run

    def remove(self, segments: Sequence[Segment]) -> None:
        """Remove segments that are all there; those that follow each other go by one slice."""
        places = sorted(bisect_left(self.ends, segment.end_ns) for segment in segments)
        while places:
            high = places.pop() + 1
            low = high - 1
            while places and places[-1] == low - 1:
                low = places.pop()
            del self.ends[low:high]
            del self.segments[low:high]


class _Usage:
    """For each life of a flow that uses one object: the ends of those segments."""

    __slots__ = ("ends", "order")

    def __init__(self) -> None:
        self.ends: dict[Use, list[int]] = {}
        self.order: list[Use] = []

    def add(self, use: Use, end_ns: int) -> None:
        if use not in self.ends:
            self.ends[use] = []
            insort(self.order, use)
        insort(self.ends[use], end_ns)

    def remove(self, use: Use, end_ns: int) -> None:
        ends = self.ends[use]
        del ends[bisect_left(ends, end_ns)]
        if not ends:
            del self.ends[use]
            del self.order[bisect_left(self.order, use)]


class Timelines:
    """The segments of every life of every flow. Not thread-safe: its store holds a lock."""

    def __init__(self) -> None:
        self._by_life: dict[Use, _Timeline] = {}
        self._by_object: dict[tuple[str, bool], _Usage] = {}

    def first(self, life: Use, span: Span) -> Segment | None:
        """Return the first segment of a life that overlaps the span."""
        timeline = self._by_life.get(life)
        return None if timeline is None else timeline.first(span)

    def has(self, life: Use, segment: Segment) -> bool:
        """Whether exactly this segment is there."""
        return self.first(life, Span(segment.start_ns, segment.end_ns)) == segment

    def overlaps(self, life: Use, segments: Sequence[Segment]) -> Mapping[int, Segment]:
        """Return for the index of each segment that overlaps a stored one the first such."""
        met = (self.first(life, Span(new.start_ns, new.end_ns)) for new in segments)
        return {index: stored for index, stored in enumerate(met) if stored is not None}

    def add(self, life: Use, segments: Sequence[Segment]) -> None:
        """Add segments that overlap nothing."""
        self._by_life.setdefault(life, _Timeline()).add(segments)
        for segment in segments:
            for name in _objects(segment):
                self._by_object.setdefault(name, _Usage()).add(life, segment.end_ns)

    def remove(self, life: Use, segments: Sequence[Segment]) -> None:
        """Remove segments that are all there."""
        if not segments:
            return
        timeline = self._by_life[life]
        timeline.remove(segments)
        if not timeline.ends:
            del self._by_life[life]
        for segment in segments:
            for name in _objects(segment):
                usage = self._by_object[name]
                usage.remove(life, segment.end_ns)
                if not usage.order:
                    del self._by_object[name]

    def page(self, query: SegmentQuery) -> Page[Segment]:
        """Return a page of the segments of a life."""
        life = Use(query.flow_id, query.life)
        timeline = self._by_life.get(life)
        if timeline is None:
            return Page([], False)
        ends, low, high = timeline.ends, 0, len(timeline.ends)
        if query.span is not None:
            low, high = timeline.bounds(query.span)
        if query.object_id is not None:
            usage = self._by_object.get((query.object_id, False), _NONE)
            within = usage.ends.get(life, [])
            first = bisect_left(within, ends[low]) if low < high else 0
            stop = bisect_right(within, ends[high - 1]) if low < high else 0
            ends, low, high = within, first, stop
        if query.after is not None and query.reverse:
            high = min(high, bisect_left(ends, query.after))
        elif query.after is not None:
            low = max(low, bisect_right(ends, query.after))
        places = range(high - 1, low - 1, -1) if query.reverse else range(low, high)
        if ends is timeline.ends:
            return first_page((timeline.segments[at] for at in places), query.limit)
        found = (timeline.segments[bisect_left(timeline.ends, ends[at])] for at in places)
        return first_page(found, query.limit)

    def all(self) -> list[tuple[Use, list[Segment]]]:
        """Return the segments of every life, in the order of the lives."""
        return [(life, list(self._by_life[life].segments)) for life in sorted(self._by_life)]

    def extent(self, life: Use, within: Span | None) -> tuple[Segment, Segment] | None:
        """Return the first and the last segment of a life, or of what overlaps a span."""
        timeline = self._by_life.get(life)
        if timeline is None:
            return None
        low, high = (0, len(timeline.ends)) if within is None else timeline.bounds(within)
        return (timeline.segments[low], timeline.segments[high - 1]) if low < high else None

    def uses(self, query: UseQuery) -> Page[Use]:
        """Return a page of the lives that use an object."""
        order = self._by_object.get((query.object_id, query.as_init), _NONE).order
        low = 0 if query.after is None else bisect_right(order, query.after)
        return first_page((order[at] for at in range(low, len(order))), query.limit)


_NONE = _Usage()


def _objects(segment: Segment) -> Iterator[tuple[str, bool]]:
    yield (segment.object_id, False)
    if segment.init_object_id is not None:
        yield (segment.init_object_id, True)
