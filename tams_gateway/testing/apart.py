"""Processes of their own for clauses in which a store's process is killed or starved."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, Final, TypeVar

from tams_gateway.testing.processes import fresh

T = TypeVar("T")


_PATIENCE: Final = 120
"""Seconds without an answer after which a process counts as hanging."""

_STEPS: Final = 50
"""At so many steps of a call its process is killed, at most."""


def apart(function: Callable[..., T], *arguments: object) -> T:
    """Return what a function of a module returns when another process calls it."""
    pipe, other = multiprocessing.Pipe()
    process = fresh().Process(target=_answer, args=(other, function, arguments), daemon=True)
    process.start()
    other.close()
    try:
        answer: T = _received(pipe)
        return answer
    finally:
        process.kill()
        process.join()
        pipe.close()


def _answer(pipe: Connection, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    _be_quiet()
    pipe.send(function(*arguments))


def _be_quiet() -> None:
    """Let nothing that is logged end in a file: a clause may forbid that files grow."""
    null = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(null, standard)


def _received(pipe: Connection) -> Any:
    assert pipe.poll(_PATIENCE), "the process of the store hangs"
    try:
        return pipe.recv()
    except EOFError:
        raise AssertionError("the process of the store ended without an answer") from None


def killed_at_each_step(
    opener: Callable[[], T], task: Callable[[T, int], object]
) -> Iterator[tuple[int, bool]]:
    """Let processes do the task with numbers from 1 on, each killed at another step of it.

    A step is a call from Python into C, such as one that sends or writes. Yields the number, and
    whether the task returned: it does the first time, when the steps are counted.
    """
    pipe, other = multiprocessing.Pipe()
    process = fresh().Process(target=_fork_on_demand, args=(other, opener, task), daemon=True)
    process.start()
    other.close()
    try:
        steps = _attempt(pipe, 1, 0)
        yield 1, True
        for number, step in enumerate(range(1, steps + 1, -(-steps // _STEPS)), 2):
            yield number, _attempt(pipe, number, step) > 0
    finally:
        process.kill()
        process.join()
        pipe.close()


def _attempt(pipe: Connection, number: int, step: int) -> int:
    """Return how many steps the task took, 0 if its process was killed at the step."""
    pipe.send((number, step))
    status, told = _received(pipe)
    if status == -signal.SIGKILL and step:
        return 0
    assert 0 == status, f"the call failed: {told}"
    return int(told)


def _fork_on_demand(
    pipe: Connection, opener: Callable[[], T], task: Callable[[T, int], object]
) -> None:
    """Fork for each attempt: far faster than new processes, and nothing is open yet."""
    _be_quiet()
    while True:
        number, step = pipe.recv()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                told = str(_Steps(step).count(opener, task, number))
                status = 0
            except Exception as error:
                # Whatever the plugin raises is told as what was seen.
                told = f"{type(error).__name__}: {error}"
            finally:
                os.write(writing, told[:4000].encode())
                os._exit(status)
        os.close(writing)
        _, ended = os.waitpid(child, 0)
        told = os.read(reading, 4096).decode()
        os.close(reading)
        pipe.send((os.waitstatus_to_exitcode(ended), told))


class _Steps:
    """Counts the steps of a call, of all threads, and kills the process at one of them."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._made = 0
        self._counting = False

    def count(self, opener: Callable[[], T], task: Callable[[T, int], object], number: int) -> int:
        """Return how many steps the task takes on a store that is opened for it."""
        threading.setprofile(self._note)
        store = opener()
        sys.setprofile(self._note)
        self._counting = True
        task(store, number)
        self._counting = False
        sys.setprofile(None)
        return self._made

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and self._counting:
            self._made += 1
            if self._made == self._last:
                os.kill(os.getpid(), signal.SIGKILL)
