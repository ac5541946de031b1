"""Conditions and order of a `Query` in plain Python, for stores that cannot push them down.

A complete answer is `page(query, (record for record in ... if matches(query.where, record,
touches)))`; a store with sorted indexes of its own walks them by `order_key` instead.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from tams_gateway.domain.timerange import ETERNITY, Span
from tams_gateway.storage.query import (
    Absent,
    After,
    AtLeast,
    Below,
    Condition,
    Equal,
    OneOf,
    Page,
    Present,
    Query,
    Segmentless,
    Sort,
    Touches,
)
from tams_gateway.storage.records import Record, Value

T = TypeVar("T")

TouchesSpan: TypeAlias = Callable[[Record, Span], bool]
"""Whether a segment of the record's life overlaps the span."""

OrderKey: TypeAlias = tuple[bool, Any, str]
"""Compares as the items of a listing follow each other; keys of different sorts do not mix."""


def matches(where: Iterable[Condition], record: Record, touches: TouchesSpan) -> bool:
    """Whether the record meets every condition (R-PAGE-13)."""
    return all(_meets(condition, record, touches) for condition in where)


def _meets(condition: Condition, record: Record, touches: TouchesSpan) -> bool:
    if isinstance(condition, Touches):
        return touches(record, condition.span)
    if isinstance(condition, Segmentless):
        return not touches(record, ETERNITY)
    return holds(condition, record.fields.get(condition.field))


def holds(
    condition: Equal | OneOf | Present | Absent | AtLeast | Below, value: Value | None
) -> bool:
    """Whether the value of the condition's field, None where the record lacks it, meets it."""
    match condition:
        case Present():
            return value is not None
        case Absent():
            return value is None
        case AtLeast(value=bound):
            return isinstance(value, int) and value >= bound
        case Below(value=bound):
            return isinstance(value, int) and value < bound
        case Equal(value=wanted):
            return wanted in value if isinstance(value, frozenset) else value == wanted
        case OneOf(values=accepted):
            if isinstance(value, frozenset):
                return not value.isdisjoint(accepted)
            return value in accepted


def order_key(sort: Sort | None, fields: Mapping[str, Value], record_id: str) -> OrderKey:
    """Return what places a record in a listing that is not reversed (R-PAGE-06, -11, -12)."""
    return _order_key(sort, None if sort is None else fields.get(sort.field), record_id)


def after_key(sort: Sort | None, after: After) -> OrderKey:
    """Return the key of the item behind which a page begins."""
    return _order_key(sort, after.value, after.id)


def _order_key(sort: Sort | None, value: Any, record_id: str) -> OrderKey:
    if sort is None or value is None:
        return (sort is not None, 0, record_id)
    if not sort.descending:
        return (False, value, record_id)
    return (False, -value if isinstance(value, int) else _Descending(value), record_id)


class _Descending:
    """A text that sorts the other way round."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.text == other.text

    def __lt__(self, other: "_Descending") -> bool:
        return other.text < self.text

    def __hash__(self) -> int:
        return hash(self.text)


def page(query: Query, records: Iterable[Record]) -> Page[Record]:
    """Sort the records, which meet the conditions, and return the page that is asked for."""
    keyed = [(order_key(query.sort, record.fields, record.id), record) for record in records]
    if query.after is not None:
        last = after_key(query.sort, query.after)
        keyed = [one for one in keyed if (one[0] < last if query.reverse else last < one[0])]
    keyed.sort(key=lambda one: one[0], reverse=query.reverse)
    return first_page((record for _, record in keyed), query.limit)


def first_page(items: Iterable[T], limit: int) -> Page[T]:
    """Return the first of the items as a page; takes at most one more than it holds."""
    taken = list(islice(items, limit + 1))
    return Page(taken[:limit], len(taken) > limit)
