"""Numbers that move when records change, in memory that processes may share.

A store that uses them can do `SupportsWatch`: it says which ids a commit changes, before that can
be seen and behind it, and who watches these ids learns of it without asking the database.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Final
from zlib import crc32

_COUNT: Final = 2**18
"""Ids share marks by chance, and a watch may so move without a cause: with this many, one of a
thousand ids does with each 260th change of another record."""

SIZE: Final = 8 * _COUNT
"""How much memory marks take, in bytes. All of it is zero at first."""

_ALL: Final = 0
"""The mark of all ids together."""

_NONE: Final = 1
"""The mark of no id."""

_FIRST: Final = 2


class Marks:
    """The marks in writable memory of `SIZE` bytes.

    A mark is odd while a commit is under way that may change what it stands for, and even and
    higher behind it. There is at most one commit at a time, among all processes.
    """

    def __init__(self, memory: bytearray | memoryview) -> None:
        self._view = memoryview(memory)
        self._marks = self._view.cast("Q")

    def close(self) -> None:
        """Let the memory go; nobody watches any more."""
        self._marks.release()
        self._view.release()

    def changing(self, ids: Iterable[str]) -> "_Changing":
        """Return what surrounds a commit that changes these ids, as a context.

        It begins before anybody can see the commit, and ends before it is acknowledged.
        """
        return _Changing(self._marks, list(map(_mark, ids)))

    def changing_all(self) -> "_Changing":
        """Return the same for a commit that may change anything."""
        return _Changing(self._marks, range(_FIRST, _COUNT))

    def watch(self, ids: Sequence[str]) -> "MarkWatch":
        """Watch these ids from now on (`SupportsWatch`)."""
        return MarkWatch(self._marks, ids)


class MarkWatch:
    """A `Watch` of some marks. That of all ids is looked at first, which mostly suffices."""

    __slots__ = ("_all", "_marks", "_pick", "_picked")

    def __init__(self, marks: "memoryview[int]", ids: Sequence[str]) -> None:
        self._marks = marks
        self._all = marks[_ALL]
        self._pick = itemgetter(_NONE, _NONE, *map(_mark, ids))
        self._picked: tuple[int, ...] = self._pick(marks)
        if self._all & 1 or self._all != marks[_ALL]:
            self._all = -1
            if any(mark & 1 for mark in self._picked):
                # What is read now may be as it was or as it will be.
                self._picked = ()

    def moved(self) -> bool:
        """Whether what has one of the ids may have changed since."""
        now = self._marks[_ALL]
        if now == self._all:
            return False
        if self._pick(self._marks) != self._picked:
            return True
        if not now & 1:
            self._all = now
        return False


class _Changing:
    __slots__ = ("_changed", "_marks")

    def __init__(self, marks: "memoryview[int]", changed: Sequence[int]) -> None:
        self._marks = marks
        self._changed = changed

    def __enter__(self) -> None:
        for at in (_ALL, *self._changed):
            # Also one moves that is odd already: whoever changed it last was killed meanwhile.
            self._marks[at] = (self._marks[at] + 1) | 1

    def __exit__(self, *error: object) -> None:
        for at in (*self._changed, _ALL):
            self._marks[at] = (self._marks[at] | 1) + 1


def _mark(one: str) -> int:
    return _FIRST + crc32(one.encode(errors="surrogatepass")) % (_COUNT - _FIRST)
