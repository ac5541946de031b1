"""Reads segments of one life of a flow by time, and the lives that use an object.

A cluster gives rows in no order, so a page is asked for by a window of time, as wide as the page
is expected to be; the next window follows where the first had too few.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway.domain.timerange import ETERNITY, SECOND, Span
from tams_gateway.storage.matching import first_page
from tams_gateway.storage.query import Page, SegmentQuery, UseQuery
from tams_gateway.storage.records import Segment, Use
from tams_gateway_vast.reading.conditions import is_ordered
from tams_gateway_vast.reading.records import EMPTY, Bounds, batches
from tams_gateway_vast.reading.windows import Windows, usual
from tams_gateway_vast.tables import rows
from tams_gateway_vast.tables.kind_tables import FLOWS
from tams_gateway_vast.tables.layout import FLOW_OBJECT_REFERENCES, LIVES, SEGMENTS
from tams_gateway_vast.tables.texts import loaded, stored
from tams_gateway_vast.transport.predicates import From, In, Is, Over, Term, Under
from tams_gateway_vast.writing.differences import INIT, MEDIA

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Cluster, Transaction

_BOUNDS: Final = ("first_ns", "last_ns", "segment_count")


def page(cluster: "Cluster", query: SegmentQuery) -> Page[Segment]:
    """Return a page of the segments of a life. Raises `StoreError`."""
    span = query.span or ETERNITY
    if span.end <= span.start:
        return Page([], False)
    if query.object_id is not None:
        return cluster.read(lambda transaction: _of_object(transaction, query, span))
    life = Use(query.flow_id, query.life)
    found = cluster.read(
        lambda transaction: _Timeline(transaction, life).first(
            span, query.limit + 1, reverse=query.reverse, after=query.after
        )
    )
    return first_page(found, query.limit)


def extent(
    cluster: "Cluster", flow_id: str, life: int, within: Span | None = None
) -> tuple[Segment, Segment] | None:
    """Return the first and the last segment of a life that overlap a span. Raises `StoreError`."""
    span = ETERNITY if within is None else within

    def ends(transaction: "Transaction") -> tuple[Segment, Segment] | None:
        timeline = _Timeline(transaction, Use(flow_id, life))
        first = timeline.first(span, 1)
        last = timeline.first(span, 1, reverse=True) if first else []
        return (first[0], last[0]) if first and last else None

    return cluster.read(ends) if span.start < span.end else None


def uses(cluster: "Cluster", query: UseQuery) -> Page[Use]:
    """Return a page of the lives that use an object. Raises `StoreError`."""
    where: list[Term] = [
        Is("object_id", stored(query.object_id)),
        Is("role", INIT if query.as_init else MEDIA),
    ]
    after = query.after
    if after is not None and is_ordered(after.flow_id):
        where.append(From("flow_id", stored(after.flow_id)))
    columns = ("flow_id", "life")
    found: pa.Table = cluster.read(
        lambda transaction: transaction.select(FLOW_OBJECT_REFERENCES, columns, where)
    )
    each = found.group_by(list(columns)).aggregate([])
    values = [each.column(name).to_pylist() for name in columns]
    lives = sorted(Use(loaded(flow_id), life) for flow_id, life in zip(*values, strict=True))
    return first_page((one for one in lives if after is None or one > after), query.limit)


def _of_life(life: Use) -> list[Term]:
    return [Is("flow_id", stored(life.flow_id)), Is("life", life.life)]


def _of_object(transaction: "Transaction", query: SegmentQuery, span: Span) -> Page[Segment]:
    """Return a page of the segments of one object: its references know where they end."""
    life = _of_life(Use(query.flow_id, query.life))
    start = span.start
    if query.after is not None and not query.reverse:
        start = max(start, query.after)
    where = [
        Is("object_id", stored(query.object_id or "")),
        *life,
        Is("role", MEDIA),
        Over("end_ns", start),
    ]
    if query.after is not None and query.reverse:
        where.append(Under("end_ns", query.after))
    found = transaction.select(FLOW_OBJECT_REFERENCES, ("end_ns",), where)
    ends = sorted(found.column("end_ns").to_pylist())
    # Of those that end behind the span, only the first may begin inside.
    ends = ends[: bisect_left(ends, span.end) + 1]
    if query.reverse:
        ends.reverse()
    items: list[Segment] = []
    for some in batches(ends[: query.limit + 2]):
        chosen = transaction.select(SEGMENTS, rows.SEGMENT, [*life, In("end_ns", some)])
        items += rows.segments(transaction, chosen)
    items = [one for one in items if one.start_ns < span.end]
    items.sort(key=lambda one: one.end_ns, reverse=query.reverse)
    return first_page(items, query.limit)


class _Timeline:
    """The segments of a life, as one transaction sees them."""

    def __init__(self, transaction: "Transaction", life: Use) -> None:
        self._transaction = transaction
        self._life = life
        self._known: Bounds | None = None

    def first(
        self, span: Span, count: int, *, reverse: bool = False, after: int | None = None
    ) -> list[Segment]:
        """Return the first segments that overlap a span, as many as there are up to `count`.

        `reverse` begins at its end. `after` is the `end_ns` of a segment before the first.
        """
        terms = _of_life(self._life)
        if after is not None and reverse:
            terms.append(Under("end_ns", after))
            span = Span(span.start, min(span.end, after))
        elif after is not None:
            # Others may have put a longer one in the place of the segment that ended there.
            terms.append(Over("end_ns", after))
            span = Span(min(max(span.start, after), span.end - 1), span.end)
        width = span.end - span.start
        if width > count * SECOND:
            # So many seconds hold a page, unless segments are very short; else their number tells.
            bounds = self._bounds()
            if not bounds.count:
                return []
            span = Span(max(span.start, bounds.first_ns), min(span.end, bounds.last_ns))
            width = usual(bounds.last_ns - bounds.first_ns, bounds.count, count)
        windows, found = Windows(span, count, width, reverse=reverse), list[Segment]()
        while len(found) < count and windows.left:
            found += windows.learn(self._overlapping(windows.window, terms, windows.most))
        return found[:count]

    def _overlapping(self, window: Span, terms: list[Term], most: int | None) -> list[Segment]:
        where = [*terms, Over("end_ns", window.start), Under("start_ns", window.end)]
        found = self._transaction.select(SEGMENTS, rows.SEGMENT, where, limit=most)
        return rows.segments(self._transaction, found)

    def _bounds(self) -> Bounds:
        """Return the bounds of the life, which stand with the record that has it, if one has."""
        if self._known is None:
            number = self._life.life
            flow_id = stored(self._life.flow_id)
            where = [Is("id", flow_id), Is("life", number)]
            found = self._transaction.select(FLOWS, _BOUNDS, where, limit=1)
            if not found.num_rows:
                found = self._transaction.select(LIVES, _BOUNDS, _of_life(self._life), limit=1)
            values = [found.column(name).to_pylist() for name in _BOUNDS]
            first, last, count = (one[0] or 0 for one in values) if found.num_rows else (0, 0, 0)
            self._known = Bounds(first, last, count) if count else EMPTY
        return self._known
