"""Rows of one table: columns in blocks that never change, so that a state is a value.

A row keeps its id for life. An update marks it dead in its block and puts the new version, with the
same id, into a new block; a state holds each id at most once.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Columns = Mapping[int, pa.Array]
Types = Mapping[int, pa.DataType]

_MANY: Final = 8
"""More small blocks than this are merged, the smallest first."""

_FULL: Final = 1 << 16
"""Rows of a block that is not merged any more."""


Limits = tuple[object, object]
"""The lowest and the highest value wanted; None is no limit on this side. Text is bytes."""

ROW_NUMBER: Final = -1
"""Stands for the row id among the numbers of columns."""

_SCANS: Final = 8
"""A column of a large block gets an index when it has been searched more often than this."""

_LARGE: Final = 1 << 12


class Block:
    """Some rows, ordered by id; a column that is absent is null everywhere."""

    __slots__ = ("_bounds", "_indexes", "_searched", "columns", "ids")

    def __init__(self, ids: np.ndarray, columns: Columns) -> None:
        self.ids = ids
        self.columns = columns
        self._bounds: dict[int, Limits] = {}
        self._indexes: dict[int, tuple[np.ndarray, pa.Array, int]] = {}
        self._searched: Counter[int] = Counter()

    def column(self, number: int) -> pa.Array | None:
        """Return the values of a column, None where it is absent."""
        if number == ROW_NUMBER:
            return pa.array(self.ids, pa.uint64())
        return self.columns.get(number)

    def bounds(self, number: int) -> Limits:
        """Return the lowest and the highest value of a column, None where it has none."""
        found = self._bounds.get(number)
        if found is None:
            values = self.columns.get(number)
            if number == ROW_NUMBER:
                found = (int(self.ids[0]), int(self.ids[-1]))
            elif values is None:
                found = (None, None)
            elif len(values) == 1:
                found = (_plain(values[0]),) * 2
            else:
                both = pc.min_max(values)
                found = (_plain(both["min"]), _plain(both["max"]))
            self._bounds[number] = found
        return found

    def search(self, number: int, limits: Limits) -> np.ndarray | None:
        """Return where the rows are whose column lies within limits; None: a scan is as good."""
        low, high = limits
        if number == ROW_NUMBER:
            start = 0 if low is None else np.searchsorted(self.ids, int(low), "left")
            end = len(self.ids) if high is None else np.searchsorted(self.ids, int(high), "right")
            return np.arange(start, end)
        if number not in self._indexes:
            self._searched[number] += 1
            if len(self.ids) < _LARGE or self._searched[number] <= _SCANS:
                return None
            values = self.columns[number]
            order = pc.sort_indices(values)
            valid = len(values) - values.null_count
            self._indexes[number] = order.to_numpy(), values.take(order), valid
        order, values, valid = self._indexes[number]

        def at(place: int) -> object:
            return _plain(values[place])

        places = range(valid)
        start = 0 if low is None else bisect_left(places, low, key=at)
        end = valid if high is None else bisect_right(places, high, key=at)
        return np.sort(order[start:end])


class Live:
    """A block as a state sees it: `alive` is None where no row is dead."""

    __slots__ = ("alive", "block", "count")

    def __init__(self, block: Block, alive: np.ndarray | None = None) -> None:
        self.block = block
        self.alive = alive
        self.count = len(block.ids) if alive is None else int(np.count_nonzero(alive))

    def candidates(self, limits: Mapping[int, Limits], start: int) -> np.ndarray | None:
        """Return where rows may be whose columns lie within limits; None: anywhere.

        Rows with an id below `start` are of no interest.
        """
        block = self.block
        if int(block.ids[-1]) < start:
            return _NOTHING
        for number, wanted in limits.items():
            if not _meets(block.bounds(number), wanted):
                return _NOTHING
        found = [block.search(number, wanted) for number, wanted in limits.items()]
        fewest = min((at for at in found if at is not None), key=len, default=None)
        return fewest if fewest is not None and len(fewest) < len(block.ids) // 2 else None

    def positions(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where in the block the rows with these ids are, and which of the ids those are."""
        own = self.block.ids
        if not len(own) or not len(ids) or ids[-1] < own[0] or ids[0] > own[-1]:
            return _NOTHING, _NOTHING
        at = np.searchsorted(own, ids)
        at[at == len(own)] = 0
        hit = own[at] == ids
        if self.alive is not None:
            hit &= self.alive[at]
        which = np.flatnonzero(hit)
        return at[which], which

    def without(self, positions: np.ndarray) -> "Live":
        """Return it with some rows dead."""
        alive = np.ones(len(self.block.ids), bool) if self.alive is None else self.alive.copy()
        alive[positions] = False
        return Live(self.block, alive)


_NOTHING: Final = np.empty(0, np.int64)


class Rows:
    """One state of the rows of a table."""

    __slots__ = ("count", "parts")

    def __init__(self, parts: Sequence[Live] = ()) -> None:
        self.parts = tuple(parts)
        self.count = sum(part.count for part in parts)

    def size(self, numbers: Collection[int] | None = None) -> int:
        """Return the bytes of some columns, by default of all; a dead row counts too."""
        return sum(
            values.nbytes
            for part in self.parts
            for number, values in part.block.columns.items()
            if numbers is None or number in numbers
        )

    def has(self, ids: np.ndarray) -> bool:
        """Tell whether a row with one of these ids, which ascend, is there."""
        return any(len(part.positions(ids)[0]) for part in self.parts)

    def insert(self, ids: np.ndarray, columns: Columns, types: Types) -> "Rows":
        """Return the state with more rows; their ids ascend and are new."""
        return _merged([*self.parts, Live(Block(ids, columns))], types)

    def delete(self, ids: np.ndarray) -> "Rows":
        """Return the state without these rows; ids ascend, and unknown ones are passed over."""
        parts = []
        for part in self.parts:
            at, _ = part.positions(ids)
            kept = part.without(at) if len(at) else part
            if kept.count:
                parts.append(kept)
        return Rows(parts)

    def update(self, ids: np.ndarray, columns: Columns, types: Types) -> "Rows":
        """Return the state with other values in some columns of these rows, as in `delete`."""
        parts, changed = [], []
        for part in self.parts:
            at, which = part.positions(ids)
            if not len(at):
                parts.append(part)
                continue
            kept = part.without(at)
            if kept.count:
                parts.append(kept)
            old = {
                number: values.take(pa.array(at))
                for number, values in part.block.columns.items()
                if number not in columns
            }
            if len(which) == len(ids):
                new = dict(columns)
            else:
                new = {number: values.take(pa.array(which)) for number, values in columns.items()}
            changed.append(Live(Block(ids[which], old | new)))
        if len(changed) > 1:
            changed = [Live(_concatenated(changed, types))]
        return _merged([*parts, *changed], types)


def _plain(value: pa.Scalar) -> object:
    """Return a value as limits have it."""
    plain = value.as_py()
    return plain.encode() if isinstance(plain, str) else plain


def _meets(have: Limits, wanted: Limits) -> bool:
    low, high = wanted
    if have[0] is None:
        return False
    return (low is None or have[1] >= low) and (high is None or have[0] <= high)  # type: ignore[operator]


def _merged(parts: list[Live], types: Types) -> Rows:
    """Return a state of few blocks: single inserts would make one each."""
    small = [part for part in parts if len(part.block.ids) < _FULL]
    if len(small) <= _MANY:
        return Rows(parts)
    small.sort(key=lambda part: len(part.block.ids))
    small = small[: _MANY * 3 // 4]
    chosen = {id(part) for part in small}
    whole = Live(_concatenated(small, types))
    return Rows([*(part for part in parts if id(part) not in chosen), whole])


def _concatenated(parts: Sequence[Live], types: Types) -> Block:
    """Return one block with the live rows of several, by id."""
    ids = np.concatenate([p.block.ids if p.alive is None else p.block.ids[p.alive] for p in parts])
    order = None if (ids[:-1] < ids[1:]).all() else np.argsort(ids, kind="stable")
    numbers = {number for part in parts for number in part.block.columns if number in types}
    columns = {}
    for number in numbers:
        pieces = []
        for part in parts:
            values = part.block.columns.get(number)
            if values is None:
                pieces.append(pa.nulls(part.count, types[number]))
            elif part.alive is None:
                pieces.append(values)
            else:
                pieces.append(values.filter(pa.array(part.alive)))
        values = pa.concat_arrays(pieces)
        columns[number] = values if order is None else values.take(pa.array(order))
    return Block(ids if order is None else ids[order], columns)
