"""Selects of the local VAST server: the SDK's requests are read, its parser reads the answers."""

import datetime
import io
import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vastdb import _internal

from tests.servers.vast import answer, relation

Predicate = Callable[[dict[str, Any]], bool]

NUMBERS = [-3, -1, 0, 2]
TEXTS = ["", "a", "a\x7f", "a\x7f!", "b", "ab", "ä", "\U0010ffff"]
DAYS = [datetime.date(1969, 12, 31), datetime.date(2026, 2, 3)]
TIMES = [datetime.time(0), datetime.time(1, 2, 3), datetime.time(23, 59)]
MOMENTS = [datetime.datetime.combine(day, time) for day in DAYS for time in TIMES]
VECTOR = pa.list_(pa.field("item", pa.int32(), nullable=False), 2)

SCALARS: dict[pa.DataType, list[Any]] = {
    **dict.fromkeys((pa.int8(), pa.int16(), pa.int32(), pa.int64()), NUMBERS),
    **{kind: [0, 1, 250] for kind in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    **{kind: [-1.5, 0.0, 0.5] for kind in (pa.float16(), pa.float32(), pa.float64())},
    pa.string(): TEXTS,
    pa.binary(): [text.encode() for text in TEXTS],
    pa.bool_(): [False, True],
    # Of decimals the SDK sends no negative ones, and only so exactly as floats are.
    pa.decimal128(38, 2): [Decimal(0), Decimal("0.25"), Decimal("7.50")],
    pa.date32(): DAYS,
    **dict.fromkeys((pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")), TIMES),
    **{pa.timestamp(unit): MOMENTS for unit in ("s", "ms", "us", "ns")},
    VECTOR: [[0, 0], [0, 2], [-3, 2]],
}
"""The types that may be compared, with few values each, so that comparisons often hold."""

INNER = [None, [], [None, 2]]
NESTED: dict[pa.DataType, list[Any]] = {
    pa.struct([("x", pa.int64()), ("y", pa.struct([("z", pa.string())]))]): [
        *({"x": number, "y": {"z": text}} for number in NUMBERS for text in TEXTS),
        *({"x": None, "y": {"z": None}}, {"x": 2, "y": None}),
    ],
    pa.list_(pa.list_(pa.int32())): [[], INNER, INNER[1:]],
    pa.list_(VECTOR): [[], [[0, 2]], [[-3, 2], None, [0, 0]]],
    pa.map_(pa.string(), pa.struct([("v", pa.int8()), ("w", pa.list_(pa.bool_()))])): [
        [],
        [("a", {"v": 2, "w": [True, None]}), ("b", {"v": None, "w": None})],
        [("ä", None)],
    ],
}
TYPES = {**SCALARS, **NESTED}
COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


WAYS = ["null", "valid", *COMPARISONS]


def ways(kind: pa.DataType) -> list[str]:
    """Name the comparisons that the SDK makes of a type: of vectors no sets and no ranges."""
    more = [] if kind == VECTOR else ["in", "between"]
    return [*WAYS, *more, *(["prefix", "part"] if kind == pa.string() else [])]


def null_or(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is not None and test(value)


def compared(column: Any, way: str, one: Any, other: Any) -> tuple[Any, Callable[[Any], bool]]:
    """Return one comparison of a column: for the SDK, and for a single value."""
    first, second = (ibis.literal(value, column.type()) for value in (one, other))
    match way:
        case "null":
            return column.isnull(), lambda value: value is None
        case "valid":
            return ~column.isnull(), lambda value: value is not None
        case "in":
            return column.isin([first, second]), null_or(lambda value: value in (one, other))
        case "between":
            return column.between(first, second), null_or(lambda value: one <= value <= other)
        case "prefix":
            return column.startswith(one), null_or(lambda value: value.startswith(one))
        case "part":
            return column.contains(one), null_or(lambda value: one in value)
    compare = COMPARISONS[way]
    return compare(column, first), null_or(lambda value: compare(value, one))


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Draw rows, often as a slice of more of them."""
    chosen = draw(st.lists(st.sampled_from([*TYPES]), min_size=1, max_size=4))
    rows = draw(st.integers(0, 12))
    values = [st.sampled_from([None, *TYPES[kind]]) for kind in chosen]
    columns = [
        pa.array(draw(st.lists(some, min_size=rows, max_size=rows)), kind)
        for some, kind in zip(values, chosen, strict=True)
    ]
    batch = pa.record_batch(columns, names=[f"c{i}" for i in range(len(columns))])
    return batch.slice(draw(st.integers(0, rows)))


@st.composite
def alternatives(
    draw: st.DrawFn, column: Any, kind: pa.DataType
) -> tuple[Any, Callable[[Any], bool]]:
    values = st.sampled_from(SCALARS[kind])
    return compared(column, draw(st.sampled_from(ways(kind))), draw(values), draw(values))


@st.composite
def predicates(draw: st.DrawFn, schema: pa.Schema) -> tuple[Any, Predicate]:
    """Draw an AND of ORs: for the SDK, and for a row as a dictionary. The first may be None."""
    table = ibis.table(ibis.Schema.from_pyarrow(schema))
    places = [(table[f.name], (f.name,), f.type) for f in schema if f.type in SCALARS]
    for field in schema:
        if pa.types.is_struct(field.type):
            of_y = table[field.name]["y"]["z"]
            places.append((table[field.name]["x"], (field.name, "x"), pa.int64()))
            places.append((of_y, (field.name, "y", "z"), pa.string()))
    whole, tests = None, []
    for column, path, kind in draw(st.lists(st.sampled_from(places), max_size=3)) if places else []:
        some = draw(st.lists(alternatives(column, kind), min_size=1, max_size=3))
        term = some[0][0]
        for expression, _ in some[1:]:
            term |= expression
        whole = term if whole is None else whole & term
        tests.append((path, [test for _, test in some]))
    return whole, lambda row: all(
        any(test(value_at(row, path)) for test in some) for path, some in tests
    )


def value_at(row: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        row = None if row is None else row[step]
    return row


def answered(body: bytes, schema: pa.Schema) -> list[tuple[int, int, pa.Table]]:
    return list(_internal.parse_query_data_response(io.BytesIO(body), schema))


def selected(request: _internal.QueryDataRequest, batch: pa.RecordBatch) -> pa.Table:
    """Return what the SDK's parser makes of our answer to a request."""
    read = relation.parse(request.serialized)
    mask = relation.mask(batch, read)
    found = batch if mask is None else batch.filter(mask)
    body = answer.encode(found, read, 3, 77) + answer.done()
    [(stream, next_row, table)] = answered(body, request.response_schema)
    assert (stream, next_row) == (3, 77)
    table.validate(full=True)
    return table


def within(value: Any, bounds: relation.Range) -> bool:
    low, high = bounds
    value = value.encode() if isinstance(value, str) else value
    return (low is None or low <= value) and (high is None or value <= high)


@pytest.mark.parametrize("kind", SCALARS, ids=str)
def test_every_comparison_of_every_type_holds_where_it_holds_in_python(kind: pa.DataType) -> None:
    values = SCALARS[kind]
    batch = pa.record_batch([pa.array([*values, None, *values, None], kind)], names=["c"])
    batch = batch.slice(len(values))
    column = ibis.table(ibis.Schema.from_pyarrow(batch.schema))["c"]
    for way in ways(kind):
        for one, other in zip(values, reversed(values), strict=True):
            expression, fulfils = compared(column, way, one, other)
            request = _internal.build_query_data_request(batch.schema, expression)

            found = selected(request, batch)["c"].to_pylist()

            assert found == [value for value in [None, *values, None] if fulfils(value)], (way, one)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_request_of_the_sdk_finds_the_rows_and_columns_that_it_asks_for(
    data: st.DataObject,
) -> None:
    batch = data.draw(batches())
    predicate, fulfils = data.draw(predicates(batch.schema))
    wanted = data.draw(st.lists(st.sampled_from(batch.schema.names), unique=True))
    rows = [row for row in batch.to_pylist() if fulfils(row)]

    request = _internal.build_query_data_request(batch.schema, predicate, wanted)
    table = selected(request, batch)

    assert len(table) == len(rows)
    assert table.to_pylist() == [{name: row[name] for name in wanted} for row in rows]
    limits = relation.bounds(relation.parse(request.serialized))
    assert all(within(row[name], bounds) for name, bounds in limits.items() for row in rows)


def read_of(schema: pa.Schema, expression: Any) -> relation.Relation:
    return relation.parse(_internal.build_query_data_request(schema, expression).serialized)


NUMBERED = pa.schema([("n", pa.int64()), ("s", pa.string()), ("f", pa.float64())])
ROWS = ibis.table(ibis.Schema.from_pyarrow(NUMBERED))


@pytest.mark.parametrize(
    ("expression", "bounds"),
    [
        ((ROWS.n > 3) & (ROWS.n <= 9) & (ROWS.n != 4), {"n": (3, 9)}),
        ((ROWS.n >= 3) & (ROWS.n > 5) & (ROWS.n < 9) & (ROWS.n < 12), {"n": (5, 9)}),
        ((ROWS.n == 3) & (ROWS.n == 5), {"n": (5, 3)}),
        (ROWS.n.between(0, 4) | ROWS.n.between(7, 9), {"n": (0, 9)}),
        ((ROWS.n > 3) | (ROWS.n == 1), {"n": (1, None)}),
        ((ROWS.n > 3) | ROWS.n.isnull(), {}),
        ((ROWS.n > 3) & ~ROWS.s.isnull() & (ROWS.f < 1.0), {"n": (3, None)}),
        (ROWS.s.startswith("a\x7f") & (ROWS.n < 0), {"s": (b"a\x7f", b"a\x80"), "n": (None, 0)}),
        (ROWS.s.isin(["b", "ä", "a"]) & ROWS.s.contains("b"), {"s": (b"a", "ä".encode())}),
    ],
    ids=str,
)
def test_the_terms_tell_where_rows_may_lie(expression: Any, bounds: dict[str, Any]) -> None:
    assert bounds == relation.bounds(read_of(NUMBERED, expression))


def test_thousands_of_values_are_looked_up_at_once() -> None:
    read = read_of(NUMBERED, ROWS.n.isin(range(0, 6000, 2)) | (ROWS.n == 7) | (ROWS.n > 9000))
    rows = pa.record_batch([pa.array([None, *range(10_000)])], names=["n"])

    found = rows.filter(relation.mask(rows, read))["n"].to_pylist()

    assert found == [n for n in range(10_000) if (n % 2 == 0 and n < 6000) or n == 7 or n > 9000]


def test_nan_equals_nothing() -> None:
    read = read_of(NUMBERED, ROWS.f.isin([1.0, 0.0]) | (ROWS.f == 2.0))
    rows = pa.record_batch([pa.array([float("nan"), -0.0, 1.0, None])], names=["f"])

    assert relation.mask(rows, read).to_pylist() == [False, True, True, False]


def test_pages_of_several_streams_come_mixed_and_may_be_empty() -> None:
    schema = pa.schema([(f"c{i}", kind) for i, kind in enumerate(TYPES)])
    read = read_of(schema, None)
    values = [[None, *some[:3]][:3] for some in TYPES.values()]
    page = pa.record_batch(
        [pa.array(v, kind) for v, kind in zip(values, TYPES, strict=True)], schema
    )
    empty = page.slice(0, 0)
    body = answer.keep_alive() + answer.encode(page, read, 0, 9) + answer.keep_alive()
    body += answer.encode(empty, read, 1, answer.FINISHED) + answer.encode(page, read, 0, 12)

    pages = answered(body + answer.done(), schema)

    assert [(0, 9), (1, 2**48 - 1), (0, 12)] == [one[:2] for one in pages]
    assert [page.to_pylist(), [], page.to_pylist()] == [one[2].to_pylist() for one in pages]


def test_an_answer_may_tell_of_a_failure() -> None:
    page = pa.record_batch([pa.array([1])], names=["n"])
    read = read_of(page.schema, None)

    with pytest.raises(_internal.QueryDataInternalError, match="error_code=5"):
        answered(answer.encode(page, read, 0, 9) + answer.failed(5), page.schema)


def test_what_a_select_cannot_do_is_refused() -> None:
    request = _internal.build_query_data_request(NUMBERED, ROWS.s.contains("b"))
    unknown = bytes(request.serialized).replace(b"match_substring", b"match_substrinG")

    with pytest.raises(ValueError, match="match_substrinG is no comparison"):
        relation.parse(unknown)
