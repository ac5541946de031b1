"""What rows a select asks for, and the request that says so."""

from collections.abc import Sequence
from typing import TypeAlias

import ibis  # type: ignore[import-untyped]
import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
from vastdb import _internal  # type: ignore[import-untyped]

Literal: TypeAlias = int | str | bytes | bool


class Is(msgspec.Struct, frozen=True):
    """The column has this value."""

    column: str
    value: Literal


class In(msgspec.Struct, frozen=True):
    """The column has one of these values."""

    column: str
    values: Sequence[Literal]


class From(msgspec.Struct, frozen=True):
    """The column has this value or a larger one."""

    column: str
    value: Literal


class Over(msgspec.Struct, frozen=True):
    """The column has a larger value."""

    column: str
    value: Literal


class UpTo(msgspec.Struct, frozen=True):
    """The column has this value or a smaller one."""

    column: str
    value: Literal


class Under(msgspec.Struct, frozen=True):
    """The column has a smaller value."""

    column: str
    value: Literal


class IsNull(msgspec.Struct, frozen=True):
    """The column has no value."""

    column: str


class NotNull(msgspec.Struct, frozen=True):
    """The column has a value."""

    column: str


Term: TypeAlias = Is | In | From | Over | UpTo | Under | IsNull | NotNull


def request(
    schema: pa.Schema, columns: Sequence[str], where: Sequence[Term]
) -> _internal.QueryDataRequest:
    """Return the request for columns of the rows that fulfil all terms."""
    table = ibis.table(ibis.Schema.from_pyarrow(schema), name="t")
    predicate = None
    for term in where:
        one = _expression(table[term.column], term)
        predicate = one if predicate is None else predicate & one
    return _internal.build_query_data_request(schema, predicate, list(columns))


def _expression(column: ibis.Column, term: Term) -> ibis.Expr:
    match term:
        case Is():
            return column == term.value
        case In():
            return column.isin(list(term.values))
        case From():
            return column >= term.value
        case Over():
            return column > term.value
        case UpTo():
            return column <= term.value
        case Under():
            return column < term.value
        case IsNull():
            return column.isnull()
    return ~column.isnull()
