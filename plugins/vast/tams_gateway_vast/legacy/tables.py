"""The older server's tables as they are: any of them, and any of their columns, may be missing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tams_gateway_vast.legacy.values import Row, created
from tams_gateway_vast.tables.columns import Column, Table
from tams_gateway_vast.transport.cluster import Cluster
from tams_gateway_vast.transport.predicates import (
    From,
    In,
    IsNull,
    NotNull,
    Over,
    Term,
    Under,
    UpTo,
)

PIECE: Final = 10_000
"""The most rows that are held at once, but for those of one key."""

_IDS: Final = 5_000
"""The most values of one question: each costs some 150 bytes of a request."""


class Tables:
    """Reads tables in pieces, each in a transaction of its own: nobody may write them meanwhile.

    Every method raises `StoreError`.
    """

    def __init__(self, cluster: Cluster, piece: int = PIECE) -> None:
        self._cluster = cluster
        self._piece = piece
        names = cluster.read(lambda transaction: list(transaction.tables()))
        self._tables = {name: self._table(name) for name in names}

    def _table(self, name: str) -> Table:
        bare = Table(name, ())
        schema = self._cluster.read(lambda transaction: transaction.columns(bare))
        return Table(name, tuple(Column(field.name, field.type) for field in schema))

    @property
    def names(self) -> Sequence[str]:
        """The names of the tables that are there."""
        return sorted(self._tables)

    def columns(self, table: str) -> Sequence[str]:
        """Return the names of a table's columns, none for one that is not there."""
        found = self._tables.get(table)
        return [] if found is None else [column.name for column in found.columns]

    def rows(
        self, table: str, where: Sequence[Term] = (), columns: Iterable[str] = ()
    ) -> list[Row]:
        """Return the rows that fulfil all terms, with these columns (none: with all)."""
        there = self.columns(table)
        wanted = [name for name in there if name in columns] if columns else there
        if not wanted or any(term.column not in there for term in where):
            return []
        found = self._cluster.read(
            lambda transaction: transaction.select(self._tables[table], wanted, where)
        )
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in found.to_pylist()
        ]

    def of(
        self, table: str, key: str, values: Iterable[str], columns: Iterable[str] = ()
    ) -> dict[str, list[Row]]:
        """Return the rows whose key is one of the values, by that value."""
        asked = sorted(set(values))
        found: dict[str, list[Row]] = defaultdict(list)
        for start in range(0, len(asked), _IDS):
            where = In(key, asked[start : start + _IDS])
            for row in self.rows(table, [where], {key, *columns} if columns else ()):
                found[str(row[key])].append(row)
        return found

    def groups(
        self, table: str, key: str, within: str | None = None, columns: Sequence[str] = ()
    ) -> Iterator[list[Row]]:
        """Yield all rows, those of one key in a row and the keys in ascending order.

        A list has at most a piece of rows, or those of a single key. Where these are more, they
        come in several lists: by the column `within`, the oldest (`created`) first. Rows that have
        no key come before all others.
        """
        if key not in self.columns(table):
            return
        keyless = self.rows(table, [IsNull(key)], columns)
        if keyless:
            yield keyless
        for first, last in self._ranges(table, key):
            where: list[Term] = [From(key, first), UpTo(key, last)]
            if within and first == last and within in self.columns(table):
                yield from self._parts(table, where, within)
            else:
                yield sorted(self.rows(table, where, columns), key=lambda row: str(row[key]))

    def _parts(self, table: str, where: list[Term], within: str) -> Iterator[list[Row]]:
        rows = self.rows(table, where, [within, "created"])
        ordered = dict.fromkeys(str(row.get(within)) for row in sorted(rows, key=created))
        names = list(ordered)
        step = min(_IDS, self._piece)
        for start in range(0, len(names), step):
            yield self.rows(table, [*where, In(within, names[start : start + step])])
        keyless = self.rows(table, [*where, IsNull(within)])
        if keyless:
            yield keyless

    def _ranges(
        self, table: str, key: str, lower: Term | None = None, upper: Term | None = None
    ) -> Iterator[tuple[str, str]]:
        """Yield the first and the last value of ranges that hold a piece at most, or one value."""
        where = [term for term in (lower, upper) if term is not None]
        sample = self._sample(table, key, where)
        if len(sample) <= self._piece:
            if sample:
                yield sample[0], sample[-1]
            return
        middle = max(sample[len(sample) // 2], next(_larger(sample), sample[0]))
        yield from self._ranges(table, key, lower, Under(key, middle))
        if middle > sample[0]:
            yield from self._ranges(table, key, From(key, middle), upper)
        else:
            yield middle, middle
            yield from self._ranges(table, key, Over(key, middle), upper)

    def _sample(self, table: str, key: str, where: Sequence[Term]) -> list[str]:
        """Return values of a column in order: all, or one more than a piece has."""
        where = where or [NotNull(key)]
        found = self._cluster.read(
            lambda transaction: transaction.select(
                self._tables[table], [key], where, limit=self._piece + 1
            )
        )
        return sorted(found.column(0).to_pylist())


def _larger(sample: Sequence[str]) -> Iterator[str]:
    """Go through the values that are larger than the first."""
    return (value for value in sample if value > sample[0])
