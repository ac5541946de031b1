"""Our requests for selects mean what the SDK's mean, and what the SDK can't say besides."""

from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
    request,
)
from vastdb import _internal

from tests.servers.vast import relation

SCHEMA = pa.schema(
    [
        pa.field("$row_id", pa.uint64()),
        pa.field("of", pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))])),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("data", pa.binary()),
        pa.field("flag", pa.bool_()),
        pa.field("d", pa.decimal128(38, 0)),
        pa.field("f", pa.float32()),
    ]
)
TABLE = ibis.table(ibis.Schema.from_pyarrow(SCHEMA))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    # The SDK has no larger numbers without a sign, no negative decimals, and only those of floats.
    "$row_id": st.integers(0, 2**63 - 1),
    "n": st.integers(-(2**63), 2**63 - 1),
    "text": st.text(st.characters(codec="utf-8"), max_size=12),
    "data": st.binary(max_size=12),
    "flag": st.booleans(),
    "d": st.integers(0, 2**53),
}
SIGNS = {Is: "__eq__", From: "__ge__", Over: "__gt__", UpTo: "__le__", Under: "__lt__"}


@st.composite
def terms(draw: st.DrawFn) -> Term:
    name = draw(st.sampled_from([*VALUES]))
    match draw(st.sampled_from([In, IsNull, NotNull, *SIGNS])):
        case kind if kind is In:
            return In(name, draw(st.lists(VALUES[name], min_size=2, max_size=5, unique=True)))
        case kind if kind in SIGNS:
            return kind(name, draw(VALUES[name]))
        case kind:
            return kind(draw(st.sampled_from([name, "f"])))


def expression(term: Term) -> Any:
    column = TABLE[term.column]
    match term:
        case IsNull():
            return column.isnull()
        case NotNull():
            return ~column.isnull()
        case In():
            return column.isin([ibis.literal(value, column.type()) for value in term.values])
    return getattr(column, SIGNS[type(term)])(ibis.literal(term.value, column.type()))


def meaning(asked: relation.Relation) -> Any:
    """Tell what is asked for by names: the columns that are only compared have any order."""
    path = {number: leaf.path for number, leaf in asked.leaves.items()}
    terms = [[(one.operation, one.path, one.value) for one in term] for term in asked.terms]
    steps = [asked.leaves[number].steps for number in asked.projection]
    return {field.name: field for field in asked.schema}, sorted(path.values()), terms, steps


@settings(max_examples=100, deadline=None)
@given(
    columns=st.lists(st.sampled_from(SCHEMA.names), unique=True),
    where=st.lists(terms(), max_size=4),
)
def test_a_request_means_what_the_sdk_makes_of_the_expression(
    columns: list[str], where: list[Term]
) -> None:
    predicate = None
    for term in where:
        predicate = expression(term) if predicate is None else predicate & expression(term)

    ours = request(SCHEMA, columns, where)

    theirs = _internal.build_query_data_request(SCHEMA, predicate, columns)
    assert meaning(relation.parse(ours.serialized)) == meaning(relation.parse(theirs.serialized))
    assert ours.response_schema == theirs.response_schema
    assert len(ours.serialized) % 8 == 0


def compared(where: Term) -> list[tuple[str, Any]]:
    [term] = relation.parse(request(SCHEMA, ["n"], [where]).serialized).terms
    return [(one.operation, one.value) for one in term]


def test_a_request_has_values_that_the_sdk_cannot_send() -> None:
    assert compared(From("$row_id", 2**64 - 1)) == [("greater_equal", 2**64 - 1)]
    assert compared(Is("d", -(10**37))) == [("equal", -(10**37))]
    assert compared(Is("d", 10**38 - 1)) == [("equal", 10**38 - 1)]
    assert compared(In("text", ["a"])) == [("equal", b"a")]


def test_thousands_of_values_are_one_request() -> None:
    ids = [f"{number:036}" for number in range(3000)]

    assert compared(In("text", ids)) == [("equal", value.encode()) for value in ids]


@pytest.mark.parametrize(
    ("where", "error"),
    [
        (In("n", []), "nothing is in an empty set, asked for n"),
        (Is("f", 1), "a column of type float cannot be compared"),
        (IsNull("of"), "the column of has parts, so it cannot be compared"),
    ],
)
def test_what_cannot_be_asked_is_refused(where: Term, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        request(SCHEMA, ["n"], [where])


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        request(SCHEMA, ["n"], [IsNull("nothing")])
    with pytest.raises(KeyError, match="nothing"):
        request(SCHEMA, ["nothing"], [])
