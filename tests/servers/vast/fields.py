"""The fields of a request, their numbers, and the values in its comparisons."""

import functools
import itertools
import struct
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from importlib import import_module
from typing import Any, Final

import msgspec
import pyarrow as pa
from vastdb.vast_flatbuf.org.apache.arrow import flatbuf
from vastdb.vast_flatbuf.org.apache.arrow.computeir.flatbuf.LiteralImpl import LiteralImpl
from vastdb.vast_flatbuf.org.apache.arrow.flatbuf.Field import Field
from vastdb.vast_flatbuf.org.apache.arrow.flatbuf.Schema import Schema
from vastdb.vast_flatbuf.org.apache.arrow.flatbuf.Type import Type

from tests.servers.vast.flatbuffer import Flatbuffer


class Leaf(msgspec.Struct, frozen=True):
    """A field without children, for which a projection or a comparison asks by its number."""

    steps: tuple[str, ...]
    """The names from the column down to it: of members, `item`, or `entries` and `key`."""
    path: tuple[str, ...]
    """The column or member of a struct that a comparison with it is about."""
    type: pa.DataType
    """What lies at `path`: for the items of a vector the vector."""


def schema_of(request: Flatbuffer, table: int) -> tuple[pa.Schema, Mapping[int, Leaf]]:
    """Return the fields of a request, and its leaves by their numbers.

    Raises `ValueError` for a type that no column can have.
    """
    # All that a table points to lies behind it, and its vtable: so the rest of the request is the
    # key, which is the same for all requests of one kind.
    vtable = table - int.from_bytes(request.data[table : table + 4], "little", signed=True)
    start = min(table, vtable)
    return _schema(bytes(request.data[start:]), table - start)


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


def value_of(request: Flatbuffer, literal: int, kind: pa.DataType) -> Any:
    """Return a value as it is compared: bytes for text, the whole numbers that times are.

    Raises `ValueError` for a kind of value that no comparison has.
    """
    number, value = request.byte(literal, 0), request.table(literal, 1)
    if number in _TEXTS:
        return request.content(value, 0)
    if number in _NUMBERS:
        at = request.member(value, 0)
        # 0 and False are left out, as what is absent is read as them.
        return _NUMBERS[number](request.data if at else bytes(8), at)[0]
    if number == LiteralImpl.DecimalLiteral:
        digits = int.from_bytes(request.content(value, 0), "little", signed=True)
        return Decimal(f"{digits}E{-kind.scale}")
    if number == LiteralImpl.ListLiteral:
        return [value_of(request, item, kind.value_type) for item in request.tables(value, 0)]
    raise ValueError(f"nothing is compared with a literal of kind {number}")


_NUMBERS: Final = {
    number: struct.Struct(f"<{letter}").unpack_from
    for number, letter in (
        (LiteralImpl.BooleanLiteral, "?"),
        (LiteralImpl.Int8Literal, "b"),
        (LiteralImpl.Int16Literal, "h"),
        (LiteralImpl.Int32Literal, "i"),
        (LiteralImpl.Int64Literal, "q"),
        (LiteralImpl.UInt8Literal, "B"),
        (LiteralImpl.UInt16Literal, "H"),
        (LiteralImpl.UInt32Literal, "I"),
        (LiteralImpl.UInt64Literal, "Q"),
        (LiteralImpl.DateLiteral, "q"),
        (LiteralImpl.TimeLiteral, "q"),
        (LiteralImpl.TimestampLiteral, "q"),
        (LiteralImpl.Float16Literal, "e"),
        (LiteralImpl.Float32Literal, "f"),
        (LiteralImpl.Float64Literal, "d"),
    )
}
_TEXTS: Final = (
    LiteralImpl.StringLiteral,
    LiteralImpl.BinaryLiteral,
    LiteralImpl.FixedSizeBinaryLiteral,
)
