"""The answer to a select: pages of rows, cut into streams of single columns."""

import functools
import struct
from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from tests.servers.vast.relation import Relation

FINISHED: Final = 2**48 - 1
"""The next row of a sub-split that has no more of them."""

_HEAD: Final = struct.Struct("<LQ")
_FAILED: Final = struct.Struct("<LQL")
_KEEP_ALIVE: Final = 0xFFFFFFFF
_DONE: Final = 0xFFFFFFFE
_FAILURE: Final = 0xFFFFFFFD

_END_OF_STREAM: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def encode(batch: pa.RecordBatch, relation: Relation, stream: int, next_row: int) -> bytes:
    """Return one page of a sub-split: every leaf that was asked for as an Arrow stream of its own.

    The batch has the columns of the relation's schema, perhaps others too. `next_row` tells where
    the sub-split goes on, or is `FINISHED`. A page without rows is one too.
    """
    head = _HEAD.pack(stream, next_row)
    parts: list[bytes | pa.Buffer] = []
    for column in _single_columns(batch, relation):
        parts += (head, _schema_message(column.schema), head, column.serialize())
        parts += (head, _END_OF_STREAM)
    return b"".join(parts)


def done() -> bytes:
    """Return what ends an answer, after the last page."""
    return _DONE.to_bytes(4, "little")


def failed(code: int) -> bytes:
    """Return what ends an answer that failed."""
    return _FAILED.pack(_FAILURE, code, 0)


def keep_alive() -> bytes:
    """Return what may stand before each message, so that the client goes on waiting."""
    return _KEEP_ALIVE.to_bytes(4, "little")


@functools.lru_cache(1024)
def _schema_message(schema: pa.Schema) -> pa.Buffer:
    return schema.serialize()


def _single_columns(batch: pa.RecordBatch, relation: Relation) -> Iterator[pa.RecordBatch]:
    if not relation.projection:
        yield batch.select([])
        return
    whole: dict[str, pa.Array] = {}
    for number in relation.projection:
        name, *below = relation.leaves[number].steps
        if name not in whole:
            whole[name] = _without_offset(batch.column(name)) if below else batch.column(name)
        column = _with_one_leaf(whole[name], below) if below else whole[name]
        yield pa.record_batch([column], schema=_schema(name, column.type))


@functools.lru_cache(1024)
def _schema(name: str, kind: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind)])


def _without_offset(column: pa.Array) -> pa.Array:
    """Return a nested column whose parts all begin at 0: only Arrow's messages cut them there."""
    batch = pa.record_batch([column], names=[""])
    return pa.ipc.read_record_batch(batch.serialize(), batch.schema).column(0)


def _with_one_leaf(column: pa.Array, below: list[str]) -> pa.Array:
    """Return the levels above one leaf with nothing else in them; a map as a list of structs."""
    if not below:
        return column
    name, *rest = below
    kind = column.type
    if pa.types.is_struct(kind):
        child = _with_one_leaf(column.field(name), rest)
        pruned = pa.struct([pa.field(name, child.type)])
    elif pa.types.is_map(kind):
        part, *rest = rest
        leaf = _with_one_leaf(column.keys if part == "key" else column.items, rest)
        child = pa.StructArray.from_arrays([leaf], names=[part])
        pruned = pa.list_(child.type)
    else:
        child = _with_one_leaf(column.values, rest)
        item = pa.field("item", child.type)
        pruned = (
            pa.list_(item, kind.list_size) if pa.types.is_fixed_size_list(kind) else pa.list_(item)
        )
    buffers = column.buffers()[: kind.num_buffers]
    return pa.Array.from_buffers(pruned, len(column), buffers, children=[child])
