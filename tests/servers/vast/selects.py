"""A select: which rows of a state it wants, and in which pages it gets them."""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import pyarrow as pa

from tests.servers.vast import answer, relation
from tests.servers.vast.catalogue import ROW_ID, Projection, Table
from tests.servers.vast.errors import bad

GROUP = 1 << 16
"""Rows of a row group, by which a table is dealt out to splits."""

DONE = (1 << 48) - 1
"""The next row id of a sub-split that has no more rows."""

_ESTIMATE = 0xFFFFFFFC
"""The number of a split that only asks how many row groups there are."""


class Ask(msgspec.Struct, frozen=True):
    """What the headers of a select say."""

    split: int
    splits: int
    groups: int
    """Row groups that go to one sub-split, before the next one gets its share."""
    starts: Mapping[int, int]
    """The sub-splits that are wanted: from which row id on, or from which row of a projection."""
    subs: int
    limit: int
    """Rows of one sub-split in one answer."""


def ask(headers: Mapping[str, str]) -> Ask:
    """Read the headers; raises 400 where they make no sense."""
    try:
        split, splits, groups = map(int, headers["tabular-split"].split(","))
        subs = int(headers["tabular-num-of-subsplits"])
        pairs = [
            tuple(map(int, value.split(",")))
            for name, value in headers.items()
            if name.startswith("tabular-start-row-id-")
        ]
        limit = int(headers.get("tabular-limit-rows", "0")) or DONE
        priority = int(headers.get("tabular-schedule-id", "0"))
    except (KeyError, ValueError) as error:
        raise bad(f"the headers of a select: {error}") from error
    if priority < 0:
        raise bad("a priority is not negative")
    starts = {sub: start for sub, start in pairs if start != DONE}
    return Ask(split, splits, groups, starts, subs, limit)


def pages(
    table: Table, wanted: relation.Relation, asked: Ask, projection: Projection | None
) -> Iterator[tuple[bytes, int]]:
    """Yield the pages of an answer, each with its number of rows, and what ends it."""
    if asked.split == _ESTIMATE:
        groups = -(-table.rows.count // GROUP)
        empty = msgspec.structs.replace(wanted, projection=[])
        yield answer.encode(_empty_batch(groups), empty, 0, DONE), 0
        yield answer.done(), 0
        return
    found, ids = _rows(table, wanted, asked, projection)
    share = ids // (GROUP * asked.groups) % (asked.splits * asked.subs)
    for sub, start in asked.starts.items():
        mine = (share == sub * asked.splits + asked.split) & (ids >= start)
        at = np.flatnonzero(mine)
        yield from _pages_of(found, ids, at, wanted, asked.limit, sub)
    yield answer.done(), 0


def _pages_of(
    found: pa.RecordBatch,
    ids: np.ndarray,
    at: np.ndarray,
    wanted: relation.Relation,
    limit: int,
    sub: int,
) -> Iterator[tuple[bytes, int]]:
    """Yield pages of one sub-split: at least one, which says where to go on."""
    first, last = 0, min(limit, len(at))
    while True:
        here = at[first : min(first + GROUP, last)]
        first += len(here)
        following = DONE if first == len(at) else int(ids[at[first]])
        contiguous = len(here) and here[-1] - here[0] + 1 == len(here)
        if contiguous or not len(here):
            batch = found.slice(int(here[0]) if len(here) else 0, len(here))
        else:
            batch = found.take(pa.array(here))
        yield answer.encode(batch, wanted, sub, following), len(here)
        if first >= last:
            return


def _rows(
    table: Table, wanted: relation.Relation, asked: Ask, projection: Projection | None
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Return the rows that are wanted, and their ids or, for a projection, their places in it."""
    numbers = [
        None if field.name == ROW_ID else table.column(field.name).number for field in wanted.schema
    ]
    low = min(asked.starts.values(), default=DONE) if projection is None else 0
    batches, ids = [], []
    for part in table.rows.blocks(_bounds(table, wanted)):
        block = part.block
        if not len(block.ids) or block.ids[-1] < low:
            continue
        batch = (
            pa.RecordBatch.from_arrays(
                [
                    _ids(block.ids, field.type)
                    if number is None
                    else _column(block.columns.get(number), field.type, len(block.ids))
                    for number, field in zip(numbers, wanted.schema, strict=True)
                ],
                schema=wanted.schema,
            )
            if len(wanted.schema)
            else _empty_batch(len(block.ids))
        )
        keep = part.alive
        mask = relation.mask(batch, wanted)
        if mask is not None:
            chosen = np.asarray(mask.fill_null(False))
            keep = chosen if keep is None else chosen & keep
        if keep is None:
            batches.append(batch)
            ids.append(block.ids)
        elif keep.any():
            here = np.flatnonzero(keep)
            batches.append(
                batch.take(pa.array(here)) if batch.num_columns else _empty_batch(len(here))
            )
            ids.append(block.ids[here])
    return _ordered(table, wanted, batches, ids, projection)


def _ordered(
    table: Table,
    wanted: relation.Relation,
    batches: list[pa.RecordBatch],
    ids: list[np.ndarray],
    projection: Projection | None,
) -> tuple[pa.RecordBatch, np.ndarray]:
    if not batches:
        nothing = [pa.array([], field.type) for field in wanted.schema]
        return pa.RecordBatch.from_arrays(nothing, schema=wanted.schema), np.empty(0, np.uint64)
    numbers = np.concatenate(ids)
    if not len(wanted.schema):
        whole = _empty_batch(len(numbers))
    else:
        whole = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
    if projection is not None:
        keys = [
            (name, "ascending")
            for name, is_sorted in projection.columns
            if is_sorted and name in whole.schema.names
        ]
        whole = whole.sort_by(keys) if keys else whole
        return whole, np.arange(len(numbers), dtype=np.uint64)
    if len(batches) > 1 and not (numbers[:-1] < numbers[1:]).all():
        order = np.argsort(numbers, kind="stable")
        numbers = numbers[order]
        whole = whole.take(pa.array(order)) if len(wanted.schema) else whole
    return whole, numbers


def _bounds(table: Table, wanted: relation.Relation) -> dict[int, tuple[object, object]]:
    return {
        table.column(name).number: limits
        for name, limits in relation.bounds(wanted).items()
        if name != ROW_ID
    }


def _ids(ids: np.ndarray, kind: pa.DataType) -> pa.Array:
    values = pa.array(ids, pa.uint64())
    return values if kind == pa.uint64() else values.cast(kind)


def _column(values: pa.Array | None, kind: pa.DataType, length: int) -> pa.Array:
    if values is None:
        return pa.nulls(length, kind)
    # Requests leave out time zones and the names of list items: the bytes are the same.
    return values if values.type == kind else values.cast(kind)


def _empty_batch(length: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_struct_array(pa.array([{}] * length, pa.struct([])))
