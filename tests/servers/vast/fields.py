"""The fields of a request, their numbers, and the values in its comparisons."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from importlib import import_module
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from flatbuffers import number_types as numbers
from flatbuffers.table import Table
from vastdb.vast_flatbuf.org.apache.arrow import flatbuf
from vastdb.vast_flatbuf.org.apache.arrow.computeir.flatbuf.Literal import Literal
from vastdb.vast_flatbuf.org.apache.arrow.computeir.flatbuf.LiteralImpl import LiteralImpl
from vastdb.vast_flatbuf.org.apache.arrow.flatbuf.Field import Field
from vastdb.vast_flatbuf.org.apache.arrow.flatbuf.Schema import Schema
from vastdb.vast_flatbuf.org.apache.arrow.flatbuf.Type import Type

_FIRST_SLOT: Final = 4
"""Where a vtable tells of a table's first member. Every literal has just one."""


class Leaf(msgspec.Struct, frozen=True):
    """A field without children, for which a projection or a comparison asks by its number."""

    steps: tuple[str, ...]
    """The names from the column down to it: of members, `item`, or `entries` and `key`."""
    path: tuple[str, ...]
    """The column or member of a struct that a comparison with it is about."""
    type: pa.DataType
    """What lies at `path`: for the items of a vector the vector."""


def schema_of(schema: Schema) -> tuple[pa.Schema, Mapping[int, Leaf]]:
    """Return the fields of a request, and its leaves by their numbers.

    Raises `ValueError` for a type that no column can have.
    """
    # All that a table points to lies behind it, and its vtable: so the rest of the request is the
    # key, which is the same for all requests of one kind.
    table: Table = schema._tab
    vtable = table.Pos - table.Get(numbers.SOffsetTFlags, table.Pos)
    start = min(table.Pos, vtable)
    return _schema(bytes(table.Bytes[start:]), table.Pos - start)


@functools.lru_cache(256)
def _schema(tail: bytes, at: int) -> tuple[pa.Schema, Mapping[int, Leaf]]:
    schema = Schema()
    schema.Init(tail, at)
    fields = [_field(schema.Fields(i)) for i in range(schema.FieldsLength())]
    return pa.schema(fields), leaves(fields)


def leaves(fields: list[pa.Field]) -> dict[int, Leaf]:
    """Number the fields depth first, structs, lists and maps too, and return those at the end."""
    count = itertools.count()
    return {number: leaf for field in fields for number, leaf in _leaves(field, (), count)}


def _leaves(
    field: pa.Field, above: tuple[str, ...], count: Iterator[int]
) -> Iterator[tuple[int, Leaf]]:
    number, steps, kind = next(count), (*above, field.name), field.type
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _leaves(member, steps, count)
    elif pa.types.is_map(kind):
        next(count)
        for name, part in (("key", kind.key_field), ("value", kind.item_field)):
            yield from _leaves(part.with_name(name), (*steps, "entries"), count)
    elif pa.types.is_fixed_size_list(kind) and not kind.value_type.num_fields:
        yield next(count), Leaf((*steps, "item"), steps, kind)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(kind.value_field.with_name("item"), steps, count)
    else:
        yield number, Leaf(steps, steps, kind)


def _field(field: Field) -> pa.Field:
    kind = field.TypeType()
    if kind not in _TYPES:
        raise ValueError(f"no column has the type {kind}")
    module, make = _TYPES[kind]
    of_type = getattr(import_module(f"{flatbuf.__name__}.{module}"), module)()
    of_type.Init(field.Type().Bytes, field.Type().Pos)
    name = (field.Name() or b"").decode()
    return pa.field(name, make(of_type, field), nullable=field.Nullable())


def _children(field: Field) -> list[pa.Field]:
    return [_field(field.Children(i)) for i in range(field.ChildrenLength())]


def _map(_: Any, field: Field) -> pa.MapType:
    # The field between them says that it is a map as well, instead of a struct.
    key, value = (_field(field.Children(0).Children(i)) for i in range(2))
    return pa.map_(key, value)


def _integer(of_type: Any, _: Field) -> pa.DataType:
    return pa.type_for_alias(f"{'int' if of_type.IsSigned() else 'uint'}{of_type.BitWidth()}")


def _time(of_type: Any, _: Field) -> pa.DataType:
    unit = _UNITS[of_type.Unit()]
    return pa.time32(unit) if of_type.BitWidth() == 32 else pa.time64(unit)


_UNITS: Final = ("s", "ms", "us", "ns")
_TYPES: Final[Mapping[int, tuple[str, Callable[[Any, Field], pa.DataType]]]] = {
    Type.Int: ("Int", _integer),
    Type.FloatingPoint: (
        "FloatingPoint",
        lambda of_type, _: (pa.float16(), pa.float32(), pa.float64())[of_type.Precision()],
    ),
    Type.Binary: ("Binary", lambda *_: pa.binary()),
    Type.Utf8: ("Utf8", lambda *_: pa.string()),
    Type.Bool: ("Bool", lambda *_: pa.bool_()),
    Type.Decimal: (
        "Decimal",
        lambda of_type, _: pa.decimal128(of_type.Precision(), of_type.Scale()),
    ),
    Type.Date: ("Date", lambda *_: pa.date32()),
    Type.Time: ("Time", _time),
    Type.Timestamp: ("Timestamp", lambda of_type, _: pa.timestamp(_UNITS[of_type.Unit()])),
    Type.List: ("List", lambda _, field: pa.list_(_children(field)[0])),
    Type.Struct_: ("Struct_", lambda _, field: pa.struct(_children(field))),
    Type.FixedSizeBinary: (
        "FixedSizeBinary",
        lambda of_type, _: pa.binary(of_type.ByteWidth()),
    ),
    Type.FixedSizeList: (
        "FixedSizeList",
        lambda of_type, field: pa.list_(_children(field)[0], of_type.ListSize()),
    ),
    Type.Map: ("Map", _map),
}


def value_of(literal: Literal, kind: pa.DataType) -> Any:
    """Return a value as it is compared: bytes for text, the whole numbers that times are.

    Raises `ValueError` for a kind of value that no comparison has.
    """
    implementation, table = literal.ImplType(), literal.Impl()
    at = table.Offset(_FIRST_SLOT)
    if implementation in _NUMBERS:
        flags = _NUMBERS[implementation]
        value = table.Get(flags, table.Pos + at) if at else flags.py_type(0)
        if implementation == LiteralImpl.Float16Literal:
            return float(np.uint16(value).view(np.float16))
        return value
    if implementation == LiteralImpl.ListLiteral:
        return [value_of(item, kind.value_type) for item in _items(table, at)]
    if implementation not in _BYTES:
        raise ValueError(f"nothing is compared with a literal of kind {implementation}")
    start = table.Vector(at)
    value = bytes(table.Bytes[start : start + table.VectorLen(at)])
    if implementation == LiteralImpl.DecimalLiteral:
        digits = str(int.from_bytes(value, "little", signed=True))
        return Decimal(f"{digits}E{-kind.scale}")
    return value


def _items(table: Table, at: int) -> Iterator[Literal]:
    start = table.Vector(at)
    for i in range(table.VectorLen(at)):
        item = Literal()
        item.Init(table.Bytes, table.Indirect(start + 4 * i))
        yield item


_NUMBERS: Final = {
    LiteralImpl.BooleanLiteral: numbers.BoolFlags,
    LiteralImpl.Int8Literal: numbers.Int8Flags,
    LiteralImpl.Int16Literal: numbers.Int16Flags,
    LiteralImpl.Int32Literal: numbers.Int32Flags,
    LiteralImpl.Int64Literal: numbers.Int64Flags,
    LiteralImpl.UInt8Literal: numbers.Uint8Flags,
    LiteralImpl.UInt16Literal: numbers.Uint16Flags,
    LiteralImpl.UInt32Literal: numbers.Uint32Flags,
    LiteralImpl.UInt64Literal: numbers.Uint64Flags,
    LiteralImpl.DateLiteral: numbers.Int64Flags,
    LiteralImpl.TimeLiteral: numbers.Int64Flags,
    LiteralImpl.TimestampLiteral: numbers.Int64Flags,
    LiteralImpl.Float16Literal: numbers.Uint16Flags,
    LiteralImpl.Float32Literal: numbers.Float32Flags,
    LiteralImpl.Float64Literal: numbers.Float64Flags,
}
_BYTES: Final = (
    LiteralImpl.StringLiteral,
    LiteralImpl.BinaryLiteral,
    LiteralImpl.DecimalLiteral,
    LiteralImpl.FixedSizeBinaryLiteral,
)
