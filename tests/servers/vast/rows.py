"""Rows of one table: columns in blocks that never change, so that a state is a value.

A row keeps its id for life. An update marks it dead in its block and puts the new version, with the
same id, into a new block; a state holds each id at most once.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Columns = Mapping[int, pa.Array]
Types = Mapping[int, pa.DataType]

_MANY = 16
"""More small blocks than this are merged, the smallest first."""

_FULL = 1 << 16
"""Rows of a block that is not merged any more."""


class Block:
    """Some rows, ordered by id; a column that is absent is null everywhere."""

    __slots__ = ("_bounds", "columns", "ids")

    def __init__(self, ids: np.ndarray, columns: Columns) -> None:
        self.ids = ids
        self.columns = columns
        self._bounds: dict[int, tuple[object, object]] = {}

    def bounds(self, column: int) -> tuple[object, object]:
        """Return the least and the greatest value of a column, None where it has none."""
        found = self._bounds.get(column)
        if found is None:
            values = self.columns.get(column)
            if values is None:
                found = (None, None)
            elif len(values) == 1:
                found = (values[0].as_py(),) * 2
            else:
                both = pc.min_max(values)
                found = (both["min"].as_py(), both["max"].as_py())
            self._bounds[column] = found
        return found


class Live:
    """A block as a state sees it: `alive` is None where no row is dead."""

    __slots__ = ("alive", "block", "count")

    def __init__(self, block: Block, alive: np.ndarray | None = None) -> None:
        self.block = block
        self.alive = alive
        self.count = len(block.ids) if alive is None else int(np.count_nonzero(alive))

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


_NOTHING = np.empty(0, np.int64)


class Rows:
    """One state of the rows of a table."""

    __slots__ = ("count", "parts")

    def __init__(self, parts: Sequence[Live] = ()) -> None:
        self.parts = tuple(parts)
        self.count = sum(part.count for part in parts)

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

    def blocks(self, bounds: Mapping[int, tuple[object, object]]) -> Iterator[Live]:
        """Yield the blocks that may have rows whose columns lie within bounds (inclusive)."""
        for part in self.parts:
            if all(_meets(part.block.bounds(number), wanted) for number, wanted in bounds.items()):
                yield part


def _meets(have: tuple[object, object], wanted: tuple[object, object]) -> bool:
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
