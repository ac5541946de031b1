"""What a select asks for: read from its request, and decided on batches of rows."""

import operator
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from vastdb.vast_flatbuf.org.apache.arrow.computeir.flatbuf.ExpressionImpl import ExpressionImpl

from tests.servers.vast.fields import Leaf, schema_of, value_of
from tests.servers.vast.flatbuffer import Flatbuffer


class Comparison(msgspec.Struct, frozen=True):
    """One comparison of a column with a value, `is_null`, or `is_valid`."""

    operation: str
    leaf: int
    path: tuple[str, ...]
    """The column, and the members of structs in it."""
    value: Any
    """Bytes for text and bytes, whole numbers for times, the value itself for the rest."""


class Both(msgspec.Struct, frozen=True):
    """Comparisons that must all be true, within an OR: a range or a prefix."""

    parts: tuple[Comparison, ...]


Alternative = Comparison | Both


class Relation(msgspec.Struct, frozen=True):
    """A request to select: columns, and an AND of ORs that rows have to fulfil."""

    schema: pa.Schema
    projection: list[int]
    """The numbers of the leaves to answer, in the order wanted."""
    terms: tuple[tuple[Alternative, ...], ...]
    leaves: Mapping[int, Leaf]


def parse(body: bytes) -> Relation:
    """Read a request.

    Raises `ValueError` if it asks for what a select cannot do, `struct.error` if it is cut.
    """
    request = Flatbuffer(body)
    source = request.table(request.root, 1)
    schema, leaves = schema_of(request, request.table(source, 3))
    projection = [request.unsigned(index, 0) for index in request.tables(source, 4)]
    terms = _Filter(request, leaves).terms(request.table(source, 2))
    return Relation(schema, projection, tuple(terms), leaves)


class _Filter:
    """Reads the filter of a request: expressions, by where they begin."""

    def __init__(self, request: Flatbuffer, leaves: Mapping[int, Leaf]) -> None:
        self.request = request
        self.leaves = leaves
        # An OR of thousands of values refers to one and the same expression for its column.
        self.numbers: dict[int, int] = {}

    def terms(self, expression: int) -> Iterator[tuple[Alternative, ...]]:
        for term in self.arguments(expression, "and"):
            alternatives = [self.alternative(one) for one in self.arguments(term, "or")]
            match alternatives:
                case []:
                    raise ValueError("an OR of nothing")
                case [Both(parts)]:
                    yield from ((part,) for part in parts)
                case _:
                    yield tuple(alternatives)

    def arguments(self, expression: int, name: str) -> list[int]:
        found, arguments = self.call(expression)
        if found != name:
            raise ValueError(f"{found} where {name} is due")
        return arguments

    def alternative(self, expression: int) -> Alternative:
        name, arguments = self.call(expression)
        if name == "and":
            return Both(tuple(self.comparison(*self.call(part)) for part in arguments))
        return self.comparison(name, arguments)

    def comparison(self, name: str, arguments: list[int]) -> Comparison:
        number = self.number(arguments[0])
        leaf = self.leaves[number]
        if name in ("is_null", "is_valid"):
            return Comparison(name, number, leaf.path, None)
        if name not in _COMPARE and name != "match_substring":
            raise ValueError(f"{name} is no comparison")
        literal = self.request.table(arguments[1], 1)
        return Comparison(name, number, leaf.path, value_of(self.request, literal, leaf.type))

    def call(self, expression: int) -> tuple[str, list[int]]:
        """Return the name of the function that is called, and its arguments."""
        if self.request.byte(expression, 0) != ExpressionImpl.Call:
            raise ValueError("a filter is made of calls")
        call = self.request.table(expression, 1)
        return self.request.content(call, 0).decode(), self.request.tables(call, 1)

    def number(self, expression: int) -> int:
        """Return the number of the leaf that is compared."""
        if expression not in self.numbers:
            reference = self.request.table(expression, 1)
            index = self.request.table(reference, 1)
            self.numbers[expression] = self.request.unsigned(index, 0)
        return self.numbers[expression]


_COMPARE: Final[Mapping[str, tuple[Callable[..., pa.Array], Callable[[Any, Any], bool]]]] = {
    "equal": (pc.equal, operator.eq),
    "not_equal": (pc.not_equal, operator.ne),
    "less": (pc.less, operator.lt),
    "less_equal": (pc.less_equal, operator.le),
    "greater": (pc.greater, operator.gt),
    "greater_equal": (pc.greater_equal, operator.ge),
}
"""Comparisons of columns, and of single vectors, which pyarrow does not compare."""


def mask(batch: pa.RecordBatch, relation: Relation) -> pa.BooleanArray | None:
    """Return which rows of a batch a relation asks for; None for all of them.

    The batch has the columns of the relation's schema, perhaps others too, in any order. The mask
    is without nulls: null fulfils nothing but `is_null`.
    """
    if not relation.terms:
        return None
    columns = _Columns(batch)
    found = reduce(pc.and_kleene, (_any_of(columns, term) for term in relation.terms))
    return pc.fill_null(found, False) if found.null_count else found


class _Columns:
    """The columns of a batch as they are compared, each made once."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        self.made: dict[tuple[str, ...], pa.Array] = {}

    def at(self, path: tuple[str, ...]) -> pa.Array:
        if path not in self.made:
            column = self.batch.column(path[0])
            for member in path[1:]:
                column = pc.struct_field(column, member)
            self.made[path] = _comparable(column)
        return self.made[path]


def _comparable(column: pa.Array) -> pa.Array:
    """Return a column with the kind of values that `Comparison.value` has."""
    kind = column.type
    if pa.types.is_string(kind):
        return column.view(pa.binary())
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return column.view(pa.int64())
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return column.view(pa.int32())
    return column.cast(pa.float32()) if pa.types.is_float16(kind) else column


def _any_of(columns: _Columns, term: tuple[Alternative, ...]) -> pa.BooleanArray:
    first = term[0]
    if len(term) == 1 and isinstance(first, Comparison):
        return _compared(columns.at(first.path), first)
    masks, equal = [], []
    for alternative in term:
        if isinstance(alternative, Both):
            parts = (_compared(columns.at(part.path), part) for part in alternative.parts)
            masks.append(reduce(pc.and_kleene, parts))
        elif alternative.operation == "equal":
            equal.append(alternative)
        else:
            masks.append(_compared(columns.at(alternative.path), alternative))
    masks += _equal_any(columns, equal)
    return reduce(pc.or_kleene, masks)


def _equal_any(columns: _Columns, comparisons: list[Comparison]) -> Iterator[pa.BooleanArray]:
    """Compare with many values at once where `is_in` means the same: not for NaN or vectors."""
    by_path: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in comparisons:
        by_path.setdefault(comparison.path, []).append(comparison)
    for path, some in by_path.items():
        column = columns.at(path)
        if len(some) == 1 or pa.types.is_floating(column.type) or column.type.num_fields:
            yield from (_compared(column, comparison) for comparison in some)
        else:
            values = pa.array([comparison.value for comparison in some], column.type)
            yield pc.is_in(column, value_set=values)


def _compared(column: pa.Array, comparison: Comparison) -> pa.BooleanArray:
    operation, value = comparison.operation, comparison.value
    if operation == "is_null":
        return column.is_null()
    if operation == "is_valid":
        return column.is_valid()
    if operation == "match_substring":
        return pc.match_substring(column, value)
    on_column, on_values = _COMPARE[operation]
    if column.type.num_fields:
        rows = zip(column.is_valid().to_pylist(), _vectors(column), strict=True)
        return pa.array([valid and on_values(row, value) for valid, row in rows], pa.bool_())
    return on_column(column, pa.scalar(value, column.type))


def _vectors(column: pa.FixedSizeListArray) -> list[list[Any]]:
    size = column.type.list_size
    values = _comparable(column.values).to_pylist()[column.offset * size :]
    return [values[i * size : (i + 1) * size] for i in range(len(column))]


Range = tuple[Any, Any]
"""The lowest and the highest value, both included; None: no limit on this side."""

_UNBOUND: Final[Range] = (None, None)


def bounds(relation: Relation) -> Mapping[str, Range]:
    """Return where rows must lie in the columns of whole numbers, decimals, text and bytes.

    Text is bounded by bytes. Rows outside are none that `mask` finds, rows inside may be; if a low
    bound is above its high one, there are none. Columns without a limit are left out.
    """
    found: dict[str, Range] = {}
    for term in relation.terms:
        names = {part.path for alternative in term for part in _parts(alternative)}
        path = names.pop()
        if names or len(path) > 1 or not _ordered(relation.schema.field(path[0]).type):
            continue
        low, high = reduce(_either, map(_range, term))
        found[path[0]] = _both(found.get(path[0], _UNBOUND), (low, high))
    return {name: limits for name, limits in found.items() if limits != _UNBOUND}


def _parts(alternative: Alternative) -> tuple[Comparison, ...]:
    return alternative.parts if isinstance(alternative, Both) else (alternative,)


def _ordered(kind: pa.DataType) -> bool:
    return (
        pa.types.is_integer(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_string(kind)
        or pa.types.is_binary(kind)
    )


def _range(alternative: Alternative) -> Range:
    return reduce(_both, map(_limits, _parts(alternative)))


def _limits(comparison: Comparison) -> Range:
    match comparison.operation:
        case "equal":
            return comparison.value, comparison.value
        case "greater" | "greater_equal":
            return comparison.value, None
        case "less" | "less_equal":
            return None, comparison.value
        case _:
            return _UNBOUND


def _both(one: Range, other: Range) -> Range:
    lows = [low for low, _ in (one, other) if low is not None]
    highs = [high for _, high in (one, other) if high is not None]
    return max(lows, default=None), min(highs, default=None)


def _either(one: Range, other: Range) -> Range:
    low = None if one[0] is None or other[0] is None else min(one[0], other[0])
    high = None if one[1] is None or other[1] is None else max(one[1], other[1])
    return low, high
