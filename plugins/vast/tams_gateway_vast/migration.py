"""Versions of our tables, and what makes each from the one before.

A step changes tables that hold an operator's metadata, inside the transaction of all steps that are
due: it adds tables and columns and fills them. It takes nothing away that readers by SQL may use.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway_vast.reading import records
from tams_gateway_vast.tables import rows
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.tables.layout import Layout, filled
from tams_gateway_vast.transport.predicates import In

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction

FIRST: Final = 1
"""The version of the tables as they were first made for anybody."""

_AT_ONCE: Final = 500
"""Records that are read at a time, so that memory does not grow with their number."""


class Step(msgspec.Struct, frozen=True):
    """Makes a version of the tables from the one before. `apply` raises `StoreError`."""

    version: int
    apply: "Callable[[Transaction], None]"


STEPS: Final[Sequence[Step]] = ()
"""All steps, in order: there is one for every version behind `FIRST`."""


def latest(steps: Sequence[Step]) -> int:
    """Return the version that the steps lead to."""
    return steps[-1].version if steps else FIRST


def add_columns(transaction: "Transaction", table: Table, names: Sequence[str]) -> None:
    """Add columns to a table of records, and fill them from bodies and fields.

    `table` has them already. Raises `StoreError`.
    """
    added = [column for column in table.columns if column.name in names]
    transaction.add_columns(table, pa.schema([(one.name, one.type) for one in added]))
    fields = {one.field: one.name for one in added if one.field is not None}
    layout = Layout(table, columns_by_field=fields)
    ids = sorted(set(transaction.select(table, ("id",)).column("id").to_pylist()))
    for some in records.batches(ids, _AT_ONCE):
        found = transaction.select(table, records.columns(layout), [In("id", some)])
        changed = []
        for one in records.loaded(transaction, layout, found):
            values = rows.typed(filled(layout, one.record.body, one.record.fields))
            changed.append((one.row_id, {name: values[name] for name in names}))
        transaction.update(table, rows.with_ids(table, changed))
