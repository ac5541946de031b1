"""What of a `Query` a select can ask for, and what is to be decided from the rows that it gives."""

from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from tams_gateway.domain.timerange import MAX_NS, MIN_NS
from tams_gateway.storage.query import (
    Absent,
    AtLeast,
    Below,
    Equal,
    OneOf,
    Present,
    Query,
    Segmentless,
    Touches,
)
from tams_gateway.storage.records import FieldType
from tams_gateway_vast.reading.records import MOST
from tams_gateway_vast.tables.layout import Layout
from tams_gateway_vast.tables.texts import cut, stored
from tams_gateway_vast.transport.predicates import (
    From,
    In,
    Is,
    IsNull,
    NotNull,
    Over,
    Term,
    Under,
    UpTo,
)

OfSet: TypeAlias = Equal | OneOf | Present | Absent
OfTime: TypeAlias = Touches | Segmentless
OfField: TypeAlias = Equal | OneOf | Present | Absent | AtLeast | Below

_SHORT: Final = 20_000
"""Texts of so many characters stand whole in a column, and no longer one is cut to such a one."""


class Question(msgspec.Struct, frozen=True):
    """A query, for tables.

    `terms` are what columns tell, without the kind; `sets` is for the tables of SET fields;
    `times` for the bounds of lives. If not `exact`, the record's fields have to be looked at too.
    """

    terms: tuple[Term, ...]
    sets: tuple[OfSet, ...]
    times: tuple[OfTime, ...]
    exact: bool


def question(layout: Layout, query: Query) -> Question | None:
    """Return what to ask for a query, None if nothing can meet its conditions."""
    terms, sets, times, exact = list[Term](), list[OfSet](), list[OfTime](), True
    for condition in query.where:
        if isinstance(condition, Touches | Segmentless):
            if not _is_possible(layout, condition):
                return None
            if layout.timed:
                times.append(condition)
            continue
        exact = exact and _is_short(condition)
        column = layout.columns_by_field.get(condition.field)
        kind_of = query.kind.type_of(condition.field)
        if column is not None and kind_of is not FieldType.SET:
            term = _term(column, kind_of, condition)
            if term is None:
                return None
            terms.append(term)
        elif layout.set_table(condition.field) is None:
            exact = False
        elif isinstance(condition, AtLeast | Below) or _wants_nothing(condition):
            return None
        else:
            sets.append(condition)
    terms += _behind(layout, query)
    return Question(tuple(terms), tuple(sets), tuple(times), exact)


def is_whole(text: str) -> bool:
    """Whether a text stands whole in a typed column, and compares there as everywhere."""
    return len(text) <= _SHORT


def is_ordered(text: str) -> bool:
    """Whether no text is on another side of this one in a column than it is in truth."""
    # Lone surrogates are escaped by a mark that sorts behind most of what sorts behind them.
    return is_whole(text) and max(text, default="") < "\ud800"


def _is_possible(layout: Layout, condition: OfTime) -> bool:
    if isinstance(condition, Segmentless):
        return True
    return layout.timed and condition.span.start < condition.span.end


def _wants_nothing(condition: OfSet) -> bool:
    """Whether no set of texts can meet the condition."""
    if isinstance(condition, OneOf):
        return not condition.values
    return isinstance(condition, Equal) and not isinstance(condition.value, str)


def _is_short(condition: OfField) -> bool:
    """Whether columns of text tell exactly what meets the condition."""
    match condition:
        case Equal(value=str(value)):
            texts = [value]
        case OneOf(values=values):
            texts = list(values)
        case _:
            texts = []
    return all(map(is_whole, (condition.field, *texts))) and len(texts) <= MOST


def _term(column: str, kind_of: FieldType, condition: OfField) -> Term | None:
    """Return what a scalar column tells, None if no value of the type meets the condition."""
    match condition:
        case Present():
            return NotNull(column)
        case Absent():
            return IsNull(column)
        case Equal(value=value):
            return _is(column, kind_of, value)
        case OneOf(values=values):
            return _one_of(column, values) if kind_of is FieldType.TEXT else None
        case AtLeast(value=value):
            return _at_least(column, value) if kind_of is FieldType.INT else None
        case Below(value=value):
            return _below(column, value) if kind_of is FieldType.INT else None


def _is(column: str, kind_of: FieldType, value: int | bool | str) -> Term | None:
    if isinstance(value, str):
        return Is(column, cut(value)) if kind_of is FieldType.TEXT else None
    if kind_of is FieldType.INT:
        return Is(column, int(value)) if MIN_NS <= value <= MAX_NS else None
    return Is(column, bool(value)) if kind_of is FieldType.BOOL and value in (0, 1) else None


def _one_of(column: str, values: Iterable[str]) -> Term | None:
    wanted = sorted({cut(value) for value in values})
    if len(wanted) > MOST:
        return NotNull(column)
    return In(column, wanted) if wanted else None


def _at_least(column: str, bound: int) -> Term | None:
    if bound > MAX_NS:
        return None
    return From(column, max(bound, MIN_NS))


def _below(column: str, bound: int) -> Term | None:
    if bound <= MIN_NS:
        return None
    return Under(column, bound) if bound <= MAX_NS else NotNull(column)


def _behind(layout: Layout, query: Query) -> list[Term]:
    """Return what is true of all rows behind `after`; it may be so of some before it, too."""
    after = query.after
    if after is None:
        return []
    by_id = _beyond("id", stored(after.id), down=query.reverse) if is_ordered(after.id) else []
    if query.sort is None:
        return by_id
    column = layout.columns_by_field.get(query.sort.field)
    if column is None:
        return []
    if after.value is None:
        # Records without the value come last, so nothing else is behind one of them.
        return [] if query.reverse else [IsNull(column), *by_id]
    if not query.reverse and not _is_set(query, query.sort.field):
        return []
    value = after.value
    if isinstance(value, str):
        if not is_ordered(value):
            return []
        value = cut(value)
    down = query.sort.descending != query.reverse
    return [UpTo(column, value) if down else From(column, value)]


def _beyond(column: str, value: str, *, down: bool) -> list[Term]:
    return [Under(column, value) if down else Over(column, value)]


def _is_set(query: Query, field: str) -> bool:
    """Whether the conditions let no record pass that lacks the field."""
    return any(
        isinstance(condition, Equal | OneOf | Present | AtLeast | Below)
        and condition.field == field
        for condition in query.where
    )
