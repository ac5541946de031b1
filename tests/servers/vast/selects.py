"""A select: which rows of a state it wants, and in which pages it gets them."""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
import pyarrow as pa

from tests.servers.vast import answer, relation
from tests.servers.vast.answer import FINISHED
from tests.servers.vast.catalogue import CHOSEN_ID, ROW_ID, Projection, Table
from tests.servers.vast.errors import bad
from tests.servers.vast.rows import ROW_NUMBER, Block, Live

GROUP = 1 << 16
"""Rows of a row group, by which a table is dealt out to splits."""

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
        limit = int(headers.get("tabular-limit-rows", "0")) or FINISHED
        priority = int(headers.get("tabular-schedule-id", "0"))
    except (KeyError, ValueError) as error:
        raise bad(f"the headers of a select: {error}") from error
    if priority < 0:
        raise bad("a priority is not negative")
    starts = {sub: start for sub, start in pairs if start != FINISHED}
    return Ask(split, splits, groups, starts, subs, limit)


def pages(
    table: Table, wanted: relation.Relation, asked: Ask, projection: Projection | None
) -> Iterator[tuple[bytes, int]]:
    """Return the pages of an answer, each with its number of rows, and what ends it.

    Raises 404 for a column that is missing.
    """
    if asked.split == _ESTIMATE:
        groups = _empty_batch(-(-table.rows.count // GROUP))
        nothing = msgspec.structs.replace(wanted, projection=[])
        estimate = answer.encode(groups, nothing, 0, FINISHED)
        return iter([(estimate, 0), (answer.done(), 0)])
    found, ids = _rows(table, wanted, asked, projection)
    return _pages(found, ids, wanted, asked)


def _pages(
    found: pa.RecordBatch, ids: np.ndarray, wanted: relation.Relation, asked: Ask
) -> Iterator[tuple[bytes, int]]:
    shares = asked.splits * asked.subs
    share = ids // (GROUP * asked.groups) % shares
    for sub, start in asked.starts.items():
        mine = ids >= start
        if shares > 1:
            mine &= share == sub * asked.splits + asked.split
        yield from _pages_of(found, ids, np.flatnonzero(mine), wanted, asked.limit, sub)
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
        following = FINISHED if first == len(at) else int(ids[at[first]])
        yield answer.encode(_taken(found, here), wanted, sub, following), len(here)
        if first >= last:
            return


def _rows(
    table: Table, wanted: relation.Relation, asked: Ask, projection: Projection | None
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Return the rows that are wanted, and their ids or, for a projection, their places in it."""
    fields = [(_number(table, field.name), field.type) for field in wanted.schema]
    limits = {_number(table, name): pair for name, pair in relation.bounds(wanted).items()}
    low = min(asked.starts.values(), default=FINISHED) if projection is None else 0
    batches, ids = [], []
    for part in table.rows.parts:
        at = part.candidates(limits, low)
        if at is None or len(at):
            batch, numbers = _matching(part, at, fields, wanted)
            if len(numbers):
                batches.append(batch)
                ids.append(numbers)
    if not batches:
        nothing = [pa.array([], field.type) for field in wanted.schema]
        return pa.RecordBatch.from_arrays(nothing, schema=wanted.schema), np.empty(0, np.uint64)
    if len(batches) == 1:
        whole, numbers = batches[0], ids[0]
    else:
        numbers = np.concatenate(ids)
        whole = pa.concat_batches(batches) if fields else _empty_batch(len(numbers))
    return _ordered(whole, numbers, projection)


def _matching(
    part: Live,
    at: np.ndarray | None,
    fields: list[tuple[int, pa.DataType]],
    wanted: relation.Relation,
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Return those of some rows of a block, by default of all, that are wanted; and their ids."""
    block, alive = part.block, part.alive
    batch = _batch(block, at, fields, wanted.schema)
    ids = block.ids
    if at is not None:
        ids = ids[at]
        alive = None if alive is None else alive[at]
    mask = relation.mask(batch, wanted)
    if mask is not None:
        chosen = mask.fill_null(False).to_numpy(zero_copy_only=False)
        alive = chosen if alive is None else chosen & alive
    if alive is None or alive.all():
        return batch, ids
    here = np.flatnonzero(alive)
    return _taken(batch, here), ids[here]


def _ordered(
    whole: pa.RecordBatch, ids: np.ndarray, projection: Projection | None
) -> tuple[pa.RecordBatch, np.ndarray]:
    if projection is None:
        if (ids[:-1] < ids[1:]).all():
            return whole, ids
        order = np.argsort(ids, kind="stable")
        return _taken(whole, order), ids[order]
    keys = [
        (name, "ascending")
        for name, is_sorted in projection.columns
        if is_sorted and name in whole.schema.names
    ]
    return whole.sort_by(keys) if keys else whole, np.arange(len(ids), dtype=np.uint64)


def _number(table: Table, name: str) -> int:
    return ROW_NUMBER if name in (ROW_ID, CHOSEN_ID) else table.column(name).number


def _batch(
    block: Block, at: np.ndarray | None, fields: list[tuple[int, pa.DataType]], schema: pa.Schema
) -> pa.RecordBatch:
    count = len(block.ids) if at is None else len(at)
    if not fields:
        return _empty_batch(count)
    places = None if at is None else pa.array(at)
    columns = []
    for number, kind in fields:
        values = block.column(number)
        if values is None:
            values = pa.nulls(count, kind)
        elif places is not None:
            values = values.take(places)
        # Requests leave out time zones and the names of list items: the bytes are the same.
        columns.append(values if values.type == kind else values.cast(kind))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _taken(batch: pa.RecordBatch, at: np.ndarray) -> pa.RecordBatch:
    if not batch.num_columns:
        return _empty_batch(len(at))
    first = int(at[0]) if len(at) else 0
    if not len(at) or (int(at[-1]) - first + 1 == len(at) and (at[:-1] < at[1:]).all()):
        return batch.slice(first, len(at))
    return batch.take(pa.array(at))


def _empty_batch(length: int) -> pa.RecordBatch:
    """Return a batch without columns."""
    rows = pa.Array.from_buffers(pa.struct([]), length, [None])
    return pa.RecordBatch.from_struct_array(rows)
