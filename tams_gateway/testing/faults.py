"""Faults that every store meets sooner or later, made without its help, and how it may answer.

They hit a whole process: so call `under` in one of its own, with `apart`.
"""

import gc
import os
import resource
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec
import pytest

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import ConflictError, MissingError, OverlapError, StoreError


class Checked(Protocol):
    """A store of either kind."""

    def check(self) -> Health:
        """Make one round trip and say what was found; does not raise."""


S = TypeVar("S", bound=Checked)


class Seen(msgspec.Struct, frozen=True):
    """What calls under a fault came to.

    `held` is how many descriptors the store held open, `wrong` what it must not do, a line each,
    `written` has the numbers of the writes that it acknowledged.
    """

    held: int
    wrong: Sequence[str]
    written: Sequence[int]

    def assert_right(self, fault: str) -> None:
        """Fail the clause if a call went wrong; skip it if the fault could do nothing."""
        assert [] == self.wrong
        if FAULTS[fault] is _dead and self.held == 0:
            pytest.skip("it holds nothing open between calls")


def under(
    fault: str,
    opener: Callable[[], S],
    reads: Mapping[str, Callable[[S], object]],
    write: Callable[[S, int], object],
) -> Seen:
    """Open a store, write to it, and call each method under a fault of `FAULTS`.

    The calls come from a thread that has called before, and from one that is new. Each must
    answer as it did before the fault, or raise `StoreError`. Once it is over, each must answer.
    """
    before = descriptors()
    store = opener()
    write(store, 0)
    expected = {name: read(store) for name, read in _with_check(reads).items()}
    held = descriptors() - before
    wrong: list[str] = []
    written = [0]

    def call(number: int, may_fail: bool) -> None:
        answers = {**expected, f"write {number}": None}
        calls = {**_with_check(reads), f"write {number}": lambda store: write(store, number)}
        for name, one in calls.items():
            said = _answer(one, store)
            if said == answers[name]:
                written.extend([number] if name.startswith("write") else [])
            elif not (may_fail and isinstance(said, StoreError) and not isinstance(said, _UNTRUE)):
                wrong.append(f"{name}: {'' if may_fail else 'afterwards, '}{said!r:.200}")

    with FAULTS[fault](held):
        call(1, True)
        thread = threading.Thread(target=call, args=(2, True))
        thread.start()
        thread.join()
    if FAULTS[fault] is not _dead:
        call(3, False)
    return Seen(len(held), wrong, written)


_UNTRUE: Final = (ConflictError, OverlapError, MissingError)
"""These say something of the content, which a fault does not change."""


def _answer(call: Callable[[S], object], store: S) -> object:
    try:
        return call(store)
    except Exception as error:
        # Any that is no StoreError is what the clause looks for.
        return error


def _with_check(reads: Mapping[str, Callable[[S], object]]) -> dict[str, Callable[[S], object]]:
    return {**reads, "check": _check}


def _check(store: Checked) -> object:
    try:
        return isinstance(store.check(), Health)
    except StoreError as error:
        return f"raised {error!r}"


def descriptors() -> set[int]:
    """Return the descriptors that this process has open."""
    with os.scandir("/proc/self/fd") as entries:
        names = [entry.name for entry in entries]
    return {int(name) for name in names if Path(f"/proc/self/fd/{name}").is_symlink()}


@contextmanager
def _dead(held: Collection[int]) -> Iterator[None]:
    """Put in place of what the store holds open what can be neither read nor written.

    Not of files that are shared memory, which cannot fail so.
    """
    dead = os.open("/", os.O_PATH)
    for descriptor in held:
        if str(os.fstat(descriptor).st_ino) not in _shared_memory():
            os.dup2(dead, descriptor)
    yield


def _shared_memory() -> set[str]:
    """Return the inodes of the files that this process maps to write to them."""
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    return {inode for _, permissions, _, _, inode, *_ in maps if permissions.startswith("rw-s")}


@contextmanager
def _limit(which: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(which)
    resource.setrlimit(which, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(which, (soft, hard))


FAULTS: Final[Mapping[str, Callable[[Collection[int]], AbstractContextManager[None]]]] = {
    "what it holds open works no more": _dead,
    "nothing can be opened": lambda held: _limit(resource.RLIMIT_NOFILE),
    "no file can grow": lambda held: _limit(resource.RLIMIT_FSIZE),
}
"""How each fault is made, where the store holds these descriptors open."""


def growth(call: Callable[[], object]) -> dict[str, int]:
    """Return what grows with each call, and by how much in the last fifty of them.

    What has a bound, such as a cache, has reached it by then or will.
    """
    grown: dict[str, int] = {}
    before = _open()
    for _ in range(_BATCHES):
        for _ in range(_CALLS):
            call()
        after = _open()
        grown = {name: after[name] - before[name] for name in after}
        grown = {name: count for name, count in grown.items() if count >= _CALLS}
        if not grown:
            break
        before = after
    return grown


_BATCHES: Final = 8
_CALLS: Final = 50


def _open() -> dict[str, int]:
    gc.collect()
    return {
        "open files": len(descriptors()),
        "threads": threading.active_count(),
        "objects in memory": len(gc.get_objects()),
    }
