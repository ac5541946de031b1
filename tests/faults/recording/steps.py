"""A gateway that is killed before each thing that it does to its directory, one after the other."""

import ctypes
import gc
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple
from unittest import mock

from tests.faults.recording.opened import Opened, opened

_SPAWN: Final = multiprocessing.get_context("spawn")


class Request(NamedTuple):
    """What a gateway is asked, with the options of `Client.request`.

    `starts` if it may be killed while it opens, too; `works` if its background work follows.
    """

    method: str
    path: str
    options: Mapping[str, Any] = {}
    starts: bool = False
    works: bool = False


class Attempt(NamedTuple):
    """What became of a request: the gateway that got it left a folder of its own.

    `status` is what it answered, None if it was killed before. `step` is the number of the call
    before which it was to be killed.
    """

    folder: Path
    step: int
    status: int | None
    killed: bool


class Killer(AbstractContextManager["Killer"]):
    """Has a process with the recorder in it, which is forked for each attempt.

    Only what changes the directory, or syncs it, counts as a step: nothing else outlives a kill.
    """

    def __init__(self, library: Path, scratch: Path) -> None:
        self._pipe, other = _SPAWN.Pipe()
        arguments = (other, library, scratch)
        self._process = _SPAWN.Process(target=_fork_on_demand, args=arguments, daemon=True)
        with mock.patch.dict(os.environ, LD_PRELOAD=str(library)):
            self._process.start()
        other.close()

    def attempts(
        self, request: Request, prepared: Path, target: Path, every: int
    ) -> Iterator[Attempt]:
        """Ask copies of a folder's gateway, each killed `every` steps later than the one before.

        The first is at one of the first `every` steps, the last comes to its end. Each copy is at
        `target`, until the next attempt.
        """
        for step in count(random.randint(1, every), every):
            shutil.copytree(prepared, target)
            attempt = self._attempt(target, request, step)
            yield attempt
            shutil.rmtree(target)
            if not attempt.killed:
                return

    def _attempt(self, folder: Path, request: Request, step: int) -> Attempt:
        self._pipe.send((folder, request, step))
        ended, told = self._pipe.recv()
        assert ended in (0, -signal.SIGKILL), told
        return Attempt(folder, step, int(told) if told else None, ended != 0)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _fork_on_demand(pipe: Connection, library: Path, scratch: Path) -> None:
    """Fork for each attempt: far faster than new processes, and nothing is open yet."""
    null = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(null, standard)
    recorder = ctypes.CDLL(str(library))
    with opened(scratch) as gateway:  # So that all modules are there.
        gateway.work()
    gc.freeze()  # Else every child copies all that its collector looks at.
    while True:
        folder, request, step = pipe.recv()
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                begin = partial(_begin, recorder, folder, scratch / "record", step)
                _ask(folder, request, begin, writing)
                status = 0
            except Exception as error:
                # Whatever it is, the test tells it.
                os.write(writing, f" {type(error).__name__}: {error}".encode()[:4000])
            finally:
                os._exit(status)
        os.close(writing)
        _, ended = os.waitpid(child, 0)
        told = os.read(reading, 4096).decode()
        os.close(reading)
        pipe.send((os.waitstatus_to_exitcode(ended), told))


def _begin(recorder: ctypes.CDLL, folder: Path, record: Path, step: int) -> None:
    record.unlink(missing_ok=True)
    recorder.recorder_begin(bytes(folder), bytes(record), ctypes.c_uint64(step))


def _ask(folder: Path, request: Request, begin: Callable[[], None], writing: int) -> None:
    """Ask a new gateway, and tell its answer. It is not closed: the process ends."""
    if request.starts:
        begin()
    gateway = Opened(folder, "power")
    if not request.starts:
        begin()
    answer = gateway.client.request(request.method, request.path, **request.options)
    os.write(writing, str(answer.status).encode())
    if request.works:
        gateway.work()
