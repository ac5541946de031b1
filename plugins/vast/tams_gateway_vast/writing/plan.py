"""Rows that a transaction is to write, collected so that each table gets few requests."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tams_gateway_vast.tables import parts
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.tables.layout import PARTS
from tams_gateway_vast.tables.parts import Parts
from tams_gateway_vast.tables.rows import Row, arrow, with_ids

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction


class Plan:
    """Inserts, updates and deletions by table; rows of one table and the same columns go at once.

    `parts` collects the parts of long bodies.
    """

    def __init__(self) -> None:
        self.parts = Parts()
        self._tables: dict[str, Table] = {}
        self._inserts: dict[str, list[Row]] = {}
        self._updates: dict[tuple[str, tuple[str, ...]], list[tuple[int, Row]]] = {}
        self._deletes: dict[str, list[int]] = {}
        self._gone: list[int | None] = []

    def insert(self, table: Table, row: Row) -> None:
        """Add a row."""
        self._tables[table.name] = table
        self._inserts.setdefault(table.name, []).append(row)

    def update(self, table: Table, row_id: int, row: Row) -> None:
        """Change the columns that `row` has of a row; what its table is sorted by never changes."""
        row = {name: value for name, value in row.items() if name not in table.sorted_by}
        self._tables[table.name] = table
        self._updates.setdefault((table.name, tuple(row)), []).append((row_id, row))

    def delete(self, table: Table, row_ids: Iterable[int], gone: Iterable[int | None] = ()) -> None:
        """Remove rows, and the parts with these ids; None stands for none."""
        self._tables[table.name] = table
        self._deletes.setdefault(table.name, []).extend(row_ids)
        self._gone.extend(gone)

    def send(self, transaction: "Transaction") -> None:
        """Make all of it in a transaction."""
        parts.delete(transaction, self._gone)
        # Always in the same order: where a cluster lets writers wait, no two wait for each other.
        for name in sorted(self._tables):
            self._send(transaction, self._tables[name])
        long = self.parts.rows()
        if long is not None:
            transaction.insert(PARTS, long)

    def _send(self, transaction: "Transaction", table: Table) -> None:
        row_ids = self._deletes.get(table.name)
        if row_ids:
            transaction.delete(table, row_ids)
        for name, columns in sorted(self._updates):
            if name == table.name:
                transaction.update(table, with_ids(table, self._updates[name, columns]))
        added = self._inserts.get(table.name)
        if added:
            transaction.insert(table, arrow(table, added))
