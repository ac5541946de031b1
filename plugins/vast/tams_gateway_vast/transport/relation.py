"""The request of a select in bytes: a relation of Arrow's compute IR, as a flatbuffer.

The tables of a flatbuffer point to what lies behind them. So all that is the same for the same
columns stands at the end of a request and is kept, and terms are put before it.
"""

import functools
import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import flatbuffers  # type: ignore[import-untyped]
import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
from vastdb import _internal  # type: ignore[import-untyped]
from vastdb._internal import (  # type: ignore[import-untyped]
    ExpressionImpl,
    LiteralImpl,
    fb_field_index,
    fb_schema,
    fb_source,
    rel_impl,
)

Literal: TypeAlias = int | str | bytes | bool
"""A value that columns are compared with."""

FUNCTIONS: Final = (
    *("equal", "greater", "greater_equal", "less", "less_equal", "is_null", "is_valid"),
    *("and", "or"),
)
"""What a request may call."""

# A place is a distance from the end of the request: so it stays true whatever is put before it.
# Each part of a request is a multiple of 8 bytes, which keeps the numbers in it aligned.

_VTABLES: Final[Mapping[str, tuple[int, ...]]] = {
    # The size of the vtable and of the table, then where in the table each member stands.
    "Expression": (8, 12, 8, 4),
    "Call": (8, 12, 4, 8),
    "Literal": (10, 16, 12, 4, 8),
    "Value": (6, 8, 4),
    "LongValue": (6, 16, 8),
    "Relation": (8, 12, 8, 4),
    "Source": (14, 20, 0, 4, 8, 12, 16),
}


def _constant() -> tuple[bytes, Mapping[str, int]]:
    """Return the vtables and the names of functions, and the place of each."""
    pieces = {name: struct.pack(f"<{len(at)}H", *at) for name, at in _VTABLES.items()}
    for name in ("", *FUNCTIONS):
        pieces[name] = struct.pack(f"<I{len(name)}sx", len(name), name.encode())
    body, places = b"", {}
    for name, piece in pieces.items():
        body = piece + bytes(-len(piece) % 8) + body
        places[name] = len(body)
    return body, places


_CONSTANT, _PLACES = _constant()
_EXPRESSION: Final = _PLACES["Expression"]
_CALL: Final = _PLACES["Call"]
_LITERAL: Final = _PLACES["Literal"]
_VALUE: Final = _PLACES["Value"]
_LONG_VALUE: Final = _PLACES["LongValue"]


_LONG: Final = "<iIB3xiIIB3x4xi4x"
"""An expression, its literal at 12, and at 32 the table of a value of 8 bytes, which follow."""
_SHORT: Final = struct.Struct("<iIB3xiIIB3xi")
"""The same with the table at 28; what follows is the value, or refers to it."""


class Literals(msgspec.Struct, frozen=True):
    """How values of one type are written: by a layout, or what `encode` makes after `_SHORT`."""

    number: int
    layout: struct.Struct | None
    encode: Callable[..., bytes] = bytes


def _referred(value: bytes) -> bytes:
    return struct.pack(f"<II{len(value)}sx", 4, len(value), value)


_LITERALS: Final[Mapping[pa.DataType, Literals]] = {
    pa.int64(): Literals(LiteralImpl.Int64Literal, struct.Struct(_LONG + "q")),
    pa.uint64(): Literals(LiteralImpl.UInt64Literal, struct.Struct(_LONG + "Q")),
    pa.string(): Literals(LiteralImpl.StringLiteral, None, lambda text: _referred(text.encode())),
    pa.binary(): Literals(LiteralImpl.BinaryLiteral, None, _referred),
    pa.bool_(): Literals(LiteralImpl.BooleanLiteral, None, struct.Struct("<B3x").pack),
    pa.decimal128(38): Literals(
        LiteralImpl.DecimalLiteral,
        None,
        lambda number: _referred(number.to_bytes(16, "little", signed=True)),
    ),
}


class Column(msgspec.Struct, frozen=True):
    """A column that is compared: its type, and the places of what refers to it and to the type."""

    type: pa.DataType
    place: int
    type_place: int

    def literals(self) -> Literals:
        """Return how its values are written. Raises `ValueError` where there is no way."""
        if self.type not in _LITERALS:
            raise ValueError(f"a column of type {self.type} cannot be compared")
        return _LITERALS[self.type]


class End(msgspec.Struct, frozen=True):
    """What all requests for the same columns end with, and what reads their answers."""

    data: bytes
    schema: int
    projection: int
    compared: Mapping[str, Column]
    response_schema: pa.Schema
    response_parser: _internal.QueryDataParser


@functools.lru_cache(512)
def end_of(schema: pa.Schema, columns: tuple[str, ...], compared: tuple[str, ...]) -> End:
    """Return the end of requests that ask for some columns and compare some.

    Raises `KeyError` for a column that the schema has not, `ValueError` for a comparison of a
    column that has parts.
    """
    fields = [schema.field(name) for name in dict.fromkeys((*columns, *compared))]
    predicate = _internal.Predicate(pa.schema(fields), None)
    predicate.builder = builder = flatbuffers.Builder(1024)
    leaves = [leaf for name in columns for leaf in predicate.nodes_map[name]._iter_leaves()]
    of_schema = _schema(builder, fields)
    projection = _projection(builder, [leaf.index for leaf in leaves])
    of_columns = {name: _column(predicate, name) for name in compared}
    data = bytes(builder.Bytes[builder.Head() :]) + _CONSTANT
    response = pa.schema([schema.field(name) for name in columns])
    return End(
        bytes(-len(data) % 8) + data,
        of_schema,
        projection,
        of_columns,
        response,
        _internal.QueryDataParser(response),
    )


def _schema(builder: flatbuffers.Builder, fields: Sequence[pa.Field]) -> int:
    places = [_internal.build_field(builder, field) for field in fields]
    vector = _vector(builder, fb_schema.StartFieldsVector, places)
    fb_schema.Start(builder)
    fb_schema.AddFields(builder, vector)
    return len(_CONSTANT) + int(fb_schema.End(builder))


def _projection(builder: flatbuffers.Builder, leaves: Sequence[int]) -> int:
    places = []
    for leaf in leaves:
        fb_field_index.Start(builder)
        fb_field_index.AddPosition(builder, leaf)
        places.append(fb_field_index.End(builder))
    return len(_CONSTANT) + _vector(builder, fb_source.StartProjectionVector, places)


def _column(predicate: _internal.Predicate, name: str) -> Column:
    node = predicate.nodes_map[name]
    if node.children:
        raise ValueError(f"the column {name} has parts, so it cannot be compared")
    type_place = _internal.build_field(predicate.builder, node.field, include_name=False)
    place = predicate.build_column(node.index)
    return Column(node.type, len(_CONSTANT) + place, len(_CONSTANT) + type_place)


def _vector(
    builder: flatbuffers.Builder, start: Callable[..., object], places: Sequence[int]
) -> int:
    start(builder, len(places))
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())


class Body:
    """A request as it is made, from its end to its beginning."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.parts = [end.data]
        self.length = len(end.data)

    def call(self, name: str, arguments: Sequence[int]) -> int:
        """Put the call of a function with the arguments at these places; return its place."""
        count = len(arguments)
        size = 28 + 4 * count
        at = self.length + size + size % 8
        references = range(at - 28, at - size, -4)
        return self._put(
            struct.pack(
                f"<iIB3xiIII{count}I{size % 8}x",
                *(_EXPRESSION - at, 8, ExpressionImpl.Call),
                *(_CALL - at + 12, at - 16 - _PLACES[name], 4, count),
                *map(operator.sub, references, arguments),
            )
        )

    def literal(self, column: Column, literals: Literals, value: Literal) -> int:
        """Put a value, of the type of the column; return its place."""
        if literals.layout is not None:
            at = self.length + literals.layout.size
            return self._put(
                literals.layout.pack(
                    *(_EXPRESSION - at, 8, ExpressionImpl.Literal),
                    *(_LITERAL - at + 12, 16, at - 20 - column.type_place, literals.number),
                    *(_LONG_VALUE - at + 32, value),
                )
            )
        encoded = literals.encode(value)
        size = _SHORT.size + len(encoded)
        at = self.length + size + -size % 8
        head = _SHORT.pack(
            *(_EXPRESSION - at, 8, ExpressionImpl.Literal),
            *(_LITERAL - at + 12, 12, at - 20 - column.type_place, literals.number),
            _VALUE - at + 28,
        )
        return self._put(head + encoded + bytes(-size % 8))

    def finish(self, condition: int) -> bytes:
        """Put the beginning: which columns of which schema, under which condition; return all."""
        at = self.length + 40
        self._put(
            struct.pack(
                "<IiIB3xiIIII4x",
                *(4, _PLACES["Relation"] - at + 4, 8, rel_impl.RelationImpl.Source),
                *(_PLACES["Source"] - at + 16, at - 20 - _PLACES[""], at - 24 - condition),
                *(at - 28 - self.end.schema, at - 32 - self.end.projection),
            )
        )
        return b"".join(reversed(self.parts))

    def _put(self, part: bytes) -> int:
        self.parts.append(part)
        self.length += len(part)
        return self.length
