"""Records found by their SET fields, whose values stand in tables of their own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tams_gateway.storage.query import Absent, Equal, OneOf
from tams_gateway_vast.reading.conditions import OfSet
from tams_gateway_vast.reading.records import MOST
from tams_gateway_vast.tables.layout import Layout, SetTable
from tams_gateway_vast.tables.texts import cut, loaded, stored
from tams_gateway_vast.transport.predicates import In, Is, Term

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction


class Hits(msgspec.Struct, frozen=True):
    """The records that meet conditions on SET fields: of `ids`, if there are any, and not `gone`.

    `ids` is None where every record may be a hit.
    """

    ids: frozenset[str] | None = None
    gone: frozenset[str] = frozenset()

    def has(self, record_id: str) -> bool:
        """Whether the record is one."""
        return record_id not in self.gone and (self.ids is None or record_id in self.ids)


def hits(transaction: "Transaction", layout: Layout, conditions: Sequence[OfSet]) -> Hits:
    """Return the ids of the hits; one select for each table in which the fields stand."""
    found, gone = list[frozenset[str]](), frozenset[str]()
    for table, together in _by_table(layout, conditions):
        values = _values(transaction, layout, table, together)
        for condition in together:
            ids = _meeting(values.get(cut(table.name(condition.field)), {}), condition)
            if isinstance(condition, Absent):
                gone |= ids
            else:
                found.append(ids)
    return Hits(frozenset.intersection(*found) if found else None, gone)


def _by_table(
    layout: Layout, conditions: Sequence[OfSet]
) -> Iterator[tuple[SetTable, list[OfSet]]]:
    by_table: dict[SetTable, list[OfSet]] = {}
    for condition in conditions:
        table = layout.set_table(condition.field)
        if table is not None:
            by_table.setdefault(table, []).append(condition)
    yield from by_table.items()


def _values(
    transaction: "Transaction", layout: Layout, table: SetTable, conditions: Sequence[OfSet]
) -> Mapping[str, Mapping[str, set[str | None]]]:
    """Return the values by field and id, as far as the conditions need them."""
    kind = "" if layout.kind is None else layout.kind.name
    where: list[Term] = []
    if table.kind_column is not None:
        where.append(Is(table.kind_column, stored(kind)))
    names = sorted({cut(table.name(condition.field)) for condition in conditions})
    if table.field_column is not None:
        where.append(In(table.field_column, names))
    wanted = [_wanted(condition) for condition in conditions]
    if all(one is not None for one in wanted):
        each = sorted({value for one in wanted for value in one or ()})
        if len(each) <= MOST:
            where.append(In(table.value_column, each))
    columns = [table.id_column, table.value_column]
    if table.field_column is not None:
        columns.append(table.field_column)
    found = transaction.select(table.table, columns, where)
    rows = [found.column(name).to_pylist() for name in columns]
    values: dict[str, dict[str, set[str | None]]] = {}
    for record_id, value, *field in zip(*rows, strict=True):
        name = field[0] if field else names[0]
        values.setdefault(name, {}).setdefault(loaded(record_id), set()).add(value)
    return values


def _wanted(condition: OfSet) -> frozenset[str] | None:
    """Return the values of which a set must hold one, None where any does, or none."""
    match condition:
        case Equal(value=value):
            return frozenset([cut(value)]) if isinstance(value, str) else frozenset()
        case OneOf(values=values):
            return frozenset(cut(value) for value in values)
        case _:
            return None


def _meeting(by_id: Mapping[str, set[str | None]], condition: OfSet) -> frozenset[str]:
    """Return the ids whose set holds a wanted value, or that have a set at all."""
    wanted = _wanted(condition)
    if wanted is None:
        return frozenset(by_id)
    return frozenset(one for one, values in by_id.items() if not wanted.isdisjoint(values))
