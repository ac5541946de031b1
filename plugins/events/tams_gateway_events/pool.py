"""Threads for turns."""

import queue
import threading
from collections.abc import Callable


class Pool:
    """Threads begun as they are needed, and used again; whoever submits bounds their number.

    They are daemons: a `ThreadPoolExecutor` would hold up the end of the process for as long as a
    receiver does not answer.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = self._begun = 0

    def submit(self, work: Callable[[], None]) -> None:
        """Have something done, which must not raise."""
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._begun += 1
                name = f"{self._name}-{self._begun}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._work.put(work)

    def close(self) -> None:
        """Let every thread end after what it does now; no call follows."""
        for _ in range(self._begun):
            self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            with self._lock:
                self._idle += 1
