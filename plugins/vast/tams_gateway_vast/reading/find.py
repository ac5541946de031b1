"""Finds records: a page of any listing in few requests.

A cluster sorts nothing and counts nothing, so a listing reads the keys of all records that its
columns do not rule out, chooses those of the page, and reads these whole. Where few records can be
hits, or their fields have to be looked at, they are read whole at once.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tams_gateway.storage.matching import after_key, matches, order_key, page
from tams_gateway.storage.query import Page, Query, Segmentless, Touches
from tams_gateway.storage.records import Record
from tams_gateway_vast.reading import records, sets, touches
from tams_gateway_vast.reading.conditions import Question, is_whole, question
from tams_gateway_vast.reading.records import Bounds, Stored
from tams_gateway_vast.reading.sets import Hits
from tams_gateway_vast.reading.touches import Life
from tams_gateway_vast.tables.texts import loaded, stored
from tams_gateway_vast.transport.predicates import In, Term

if TYPE_CHECKING:
    from tams_gateway_vast.tables.layout import Layout, Layouts
    from tams_gateway_vast.transport.cluster import Cluster, Transaction

FEW: Final = 1000
"""So many hits of conditions on sets are read whole, rather than keys of all records."""

_LIFE: Final = ("life", "first_ns", "last_ns", "segment_count")

_AT_ONCE: Final = 1000
"""So many lives are looked at together, in the order of the listing, until its page is full."""


class _Key(NamedTuple):
    """A record that may be on the page, and the version that its place there was told by."""

    id: str
    version: int


def find(cluster: "Cluster", layouts: "Layouts", query: Query) -> Page[Record]:
    """Return a page of records. Raises `StoreError`."""
    layout = layouts.layout_of(query.kind)
    asked = question(layout, query)
    if asked is None:
        return Page([], False)
    return cluster.read(lambda transaction: _Listing(transaction, layout, query, asked).page())


class _Listing:
    """One page, read in one transaction."""

    def __init__(
        self, transaction: "Transaction", layout: "Layout", query: Query, asked: Question
    ) -> None:
        self._transaction = transaction
        self._layout = layout
        self._query = query
        self._asked = asked
        self._hits = Hits()

    def page(self) -> Page[Record]:
        """Return the page."""
        self._hits = sets.hits(self._transaction, self._layout, self._asked.sets)
        ids, sort = self._hits.ids, self._query.sort
        if ids is not None and not ids:
            return Page([], False)
        few = ids is not None and len(ids) < FEW
        keyed = sort is None or sort.field in self._layout.columns_by_field
        if few or not keyed or not self._asked.exact:
            return self._read_whole()
        keys = self._keys()
        found = None if keys is None else self._read_by(keys)
        return self._read_whole() if found is None else found

    def _where(self) -> list[Term]:
        where = [*records.of_kind(self._layout), *self._asked.terms]
        ids = self._hits.ids
        if ids is not None and len(ids) < FEW:
            where.append(In("id", sorted(stored(one) for one in ids)))
        return where

    def _read_whole(self) -> Page[Record]:
        """Read every record that may be a hit, and look at all of it."""
        where = tuple(
            one for one in self._query.where if not isinstance(one, Touches | Segmentless)
        )
        columns = records.columns(self._layout)
        rows = self._transaction.select(self._layout.table, columns, self._where())
        found = {
            one.record.id: one
            for one in records.loaded(self._transaction, self._layout, rows)
            if matches(where, one.record, _not_asked)
        }
        if self._asked.times:
            lives = {record_id: _life_of(one) for record_id, one in found.items()}
            met = touches.meeting(self._transaction, lives, self._asked.times)
            found = {record_id: found[record_id] for record_id in met}
        return page(self._query, (one.record for one in found.values()))

    def _keys(self) -> list[_Key] | None:
        """Return the keys of the page and one more, in order; None if columns do not tell it."""
        rows = self._read_keys()
        sort, last, reverse = self._query.sort, self._query.after, self._query.reverse
        if sort is None:
            orders = [order_key(None, {}, one) for one in rows["id"]]
        else:
            if not all(is_whole(one) for one in rows["sort"] if isinstance(one, str)):
                return None
            named = zip(rows["sort"], rows["id"], strict=True)
            orders = [order_key(sort, {sort.field: value}, one) for value, one in named]
        places = [(order, at) for at, order in enumerate(orders) if self._hits.has(rows["id"][at])]
        if last is not None:
            after = after_key(sort, last)
            places = [one for one in places if (one[0] < after if reverse else after < one[0])]
        places.sort(reverse=reverse)
        chosen = self._first(rows, [at for _, at in places])
        return [_Key(rows["id"][at], rows["version"][at]) for at in chosen]

    def _read_keys(self) -> Mapping[str, list[Any]]:
        """Return the columns that keys are made of: texts as they are, the sort value as `sort`."""
        sort = self._query.sort
        columns = ["id", "version", *(_LIFE if self._asked.times else ())]
        column = None if sort is None else self._layout.columns_by_field[sort.field]
        if column is not None and column not in columns:
            columns.append(column)
        found = self._transaction.select(self._layout.table, columns, self._where())
        rows = {name: found.column(name).to_pylist() for name in columns}
        if column is not None:
            values = rows[column]
            rows["sort"] = [loaded(one) if isinstance(one, str) else one for one in values]
        return {**rows, "id": [loaded(one) for one in rows["id"]]}

    def _first(self, rows: Mapping[str, list[Any]], places: Sequence[int]) -> list[int]:
        """Return the first rows whose lives meet the conditions on time, and one more."""
        wanted = self._query.limit + 1
        if not self._asked.times:
            return list(places[:wanted])
        found: list[int] = []
        for some in records.batches(places, max(_AT_ONCE, wanted)):
            lives = {rows["id"][at]: _life(rows, at) for at in some}
            met = set(touches.meeting(self._transaction, lives, self._asked.times))
            found += [at for at in some if rows["id"][at] in met]
            if len(found) >= wanted:
                break
        return found[:wanted]

    def _read_by(self, keys: Sequence[_Key]) -> Page[Record] | None:
        """Return the records of keys; None if one is no more as its key was.

        That happens where a cluster shows a transaction what others commit meanwhile.
        """
        chosen = keys[: self._query.limit]
        ids = [key.id for key in chosen]
        found = records.get(self._transaction, self._layout, ids) if ids else {}
        items = [found[key.id].record for key in chosen if key.id in found]
        if [item.version for item in items] != [key.version for key in chosen]:
            return None
        return Page(items, len(keys) > len(chosen))


def _not_asked(record: Record, span: object) -> bool:
    raise AssertionError("conditions on time are decided by `touches`")


def _life_of(one: Stored) -> Life:
    number = one.record.fields.get("life")
    return Life(number if isinstance(number, int) else None, one.bounds)


def _life(rows: Mapping[str, list[Any]], at: int) -> Life:
    number, *bounds = (rows[name][at] for name in _LIFE)
    return Life(number, Bounds(*(one or 0 for one in bounds)))
