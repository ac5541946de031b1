"""The right to write, of all processes on one database: each gets its turn."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tams_gateway.storage.errors import StoreError

_LOOKED_EVERY: Final = 0.01
"""Seconds."""


class Turns:
    """Gives a process its turns, to one of its threads at a time.

    Who waits for the lock holds the turnstile, so that who lets the lock go cannot take it again
    before that one had it: nobody starves.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turnstile = _open(path, "turnstile")
        self._lock = _open(path, "lock")

    def take_now(self) -> bool:
        """Take the turn if nobody has it; else stand in line for it, if nobody does."""
        with suppress(BlockingIOError):
            fcntl.flock(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)
            return True
        return False

    def take(self) -> None:
        """Wait for the turn: for ever, should a process have been stopped in its own."""
        fcntl.flock(self._turnstile, fcntl.LOCK_EX)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def end(self) -> None:
        """Let the next process have its turn."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def within(self, patience: float) -> Iterator[None]:
        """Hold the turn, before anybody else here does; `StoreError` after so many seconds."""
        end = time.monotonic() + patience
        while not self.take_now():
            if time.monotonic() > end:
                fcntl.flock(self._turnstile, fcntl.LOCK_UN)
                raise self.held_up()
            time.sleep(_LOOKED_EVERY)
        try:
            yield
        finally:
            self.end()

    def held_up(self) -> StoreError:
        """Return the error that tells who has the turn, as far as this machine knows."""
        inode, who = os.fstat(self._lock).st_ino, "another process"
        with suppress(OSError):
            for line in Path("/proc/locks").read_text().splitlines():
                _, kind, _, _, process, file, *_ = line.split()
                if kind == "FLOCK" and file.endswith(f":{inode}"):
                    who = f"process {process}"
        return StoreError(
            f"{self._path}: {who} does not end to write;"
            " see whether it was stopped or hangs, and end it"
        )

    def close(self) -> None:
        """Close the files, in the child of a fork as well: it would keep the parent's turn."""
        os.close(self._lock)
        os.close(self._turnstile)


def _open(path: Path, name: str) -> int:
    return os.open(f"{path}-{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
