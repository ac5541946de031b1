"""What rows a select asks for, and the request that says so.

The SDK makes requests of ibis expressions, at a millisecond each, and some it makes wrongly or not
at all; so this does not use them.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
from vastdb import _internal  # type: ignore[import-untyped]

from tams_gateway_vast.transport.relation import Body, Literal, end_of


class Is(msgspec.Struct, frozen=True):
    """The column has this value."""

    column: str
    value: Literal


class In(msgspec.Struct, frozen=True):
    """The column has one of these values. There must be some: nothing is in an empty set."""

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


_NAMES: Final[Mapping[type[Term], str]] = {
    Is: "equal",
    In: "equal",
    From: "greater_equal",
    Over: "greater",
    UpTo: "less_equal",
    Under: "less",
    IsNull: "is_null",
    NotNull: "is_valid",
}
"""What each term is called in a request."""


def request(
    schema: pa.Schema, columns: Sequence[str], where: Sequence[Term]
) -> _internal.QueryDataRequest:
    """Return the request for columns of the rows that fulfil all terms.

    Columns may be compared that are int64, uint64, string, binary, bool, or decimal128(38, 0); any
    column without parts may be asked whether it is null. Raises `KeyError` for a column that the
    schema has not, `ValueError` for an empty `In` and for another type.
    """
    end = end_of(schema, tuple(columns), tuple(dict.fromkeys(term.column for term in where)))
    body = Body(end)
    condition = body.call("and", [body.call("or", _alternatives(body, term)) for term in where])
    serialized = body.finish(condition)
    return _internal.QueryDataRequest(serialized, end.response_schema, end.response_parser)


def _alternatives(body: Body, term: Term) -> list[int]:
    """Put the comparisons of a term, of which one must hold; return their places."""
    name, column = _NAMES[type(term)], body.end.compared[term.column]
    if isinstance(term, IsNull | NotNull):
        return [body.call(name, (column.place,))]
    values = term.values if isinstance(term, In) else (term.value,)
    if not values:
        raise ValueError(f"nothing is in an empty set, asked for {term.column}")
    literals = column.literals()
    return [
        body.call(name, (column.place, body.literal(column, literals, value))) for value in values
    ]
