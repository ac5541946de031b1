"""The records of one kind, with an index for each value and for each order that is asked for."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from tams_gateway.storage.matching import (
    OrderKey,
    TouchesSpan,
    after_key,
    first_page,
    matches,
    order_key,
    page,
)
from tams_gateway.storage.query import (
    AtLeast,
    Below,
    Condition,
    Equal,
    OneOf,
    Page,
    Present,
    Query,
    Sort,
)
from tams_gateway.storage.records import Record, Value

_Entry: TypeAlias = tuple[str, object]
"""A field and a value that it is equal to or holds, or `_PRESENT`."""

_PRESENT = object()


class Records:
    """The records of one kind. Not thread-safe: its store holds a lock."""

    def __init__(self) -> None:
        self.by_id: dict[str, Record] = {}
        self._ids_by_entry: dict[_Entry, set[str]] = {}
        self._orders: dict[Sort | None, list[OrderKey]] = {}

    def put(self, record: Record) -> None:
        """Add a record, or replace the one of its id."""
        old = self.by_id.get(record.id)
        self.by_id[record.id] = record
        if old is not None and old.fields == record.fields:
            return
        if old is not None:
            self._unindex(old)
        for entry in _entries(record):
            self._ids_by_entry.setdefault(entry, set()).add(record.id)
        for sort, keys in self._orders.items():
            insort(keys, order_key(sort, record.fields, record.id))

    def delete(self, record_id: str) -> None:
        """Remove a record if it is there."""
        old = self.by_id.pop(record_id, None)
        if old is not None:
            self._unindex(old)

    def _unindex(self, record: Record) -> None:
        for entry in _entries(record):
            ids = self._ids_by_entry[entry]
            ids.remove(record.id)
            if not ids:
                del self._ids_by_entry[entry]
        for sort, keys in self._orders.items():
            del keys[bisect_left(keys, order_key(sort, record.fields, record.id))]

    def find(self, query: Query, touches: TouchesSpan) -> Page[Record]:
        """Return a page, from the few that an index finds or by a walk in the listing's order."""
        few = self._few(query.where)
        # A walk meets a hit once in `total / few` steps; looking at all of the few, and sorting
        # them, is cheaper until there are more of them than steps.
        if few is not None and len(few) ** 2 <= query.limit * len(self.by_id):
            records = (self.by_id[one] for one in few)
            return page(query, (one for one in records if matches(query.where, one, touches)))
        walk = (self.by_id[record_id] for _, _, record_id in self._walk(query))
        return first_page((one for one in walk if matches(query.where, one, touches)), query.limit)

    def _few(self, where: Iterable[Condition]) -> set[str] | None:
        found = [ids for ids in map(self._ids, where) if ids is not None]
        return min(found, key=len, default=None)

    def _ids(self, condition: Condition) -> set[str] | None:
        """Return the ids that meet a condition, None if no index tells."""
        match condition:
            case Equal():
                return self._ids_by_entry.get((condition.field, condition.value), set())
            case OneOf():
                entries = ((condition.field, value) for value in condition.values)
                return set().union(*(self._ids_by_entry.get(entry, ()) for entry in entries))
            case Present():
                return self._ids_by_entry.get((condition.field, _PRESENT), set())
            case _:
                return None

    def _walk(self, query: Query) -> Iterator[OrderKey]:
        keys = self._orders.get(query.sort)
        if keys is None:
            keys = sorted(order_key(query.sort, one.fields, one.id) for one in self.by_id.values())
            self._orders[query.sort] = keys
        first, end = _bounds(query, keys)
        last = None if query.after is None else after_key(query.sort, query.after)
        if query.reverse:
            end = end if last is None else min(end, bisect_left(keys, last))
            return (keys[at] for at in range(end - 1, first - 1, -1))
        first = first if last is None else max(first, bisect_right(keys, last))
        return (keys[at] for at in range(first, end))


def _bounds(query: Query, keys: Sequence[OrderKey]) -> tuple[int, int]:
    """Return where in its order the hits begin and end, as far as its own field tells."""
    first, end = 0, len(keys)
    if query.sort is None or query.sort.descending:
        return first, end
    for condition in query.where:
        match condition:
            case AtLeast(field=query.sort.field, value=bound):
                first = max(first, bisect_left(keys, (False, bound, "")))
                end = min(end, bisect_left(keys, (True, 0, "")))
            case Below(field=query.sort.field, value=bound):
                end = min(end, bisect_left(keys, (False, bound, "")))
    return first, end


def _entries(record: Record) -> Iterator[_Entry]:
    for field, value in record.fields.items():
        yield (field, _PRESENT)
        yield from ((field, one) for one in _values(value))


def _values(value: Value) -> Iterable[object]:
    return value if isinstance(value, frozenset) else (value,)
