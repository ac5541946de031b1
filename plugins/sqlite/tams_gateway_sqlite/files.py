"""The files of an open database: whether they are still those that were opened."""

import os
import time
from pathlib import Path
from typing import Final

_ENDINGS: Final = ("", "-wal", "-shm", "-marks")

_TICK_NS: Final = 3 * 10**9
"""The coarsest times that file systems note, and more."""


class Files:
    """The files that stood at a path when this was made; what is written into others is gone.

    None of them can be moved or replaced without a change of their directory, so mostly one look
    at that suffices.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = str(path.parent)
        self._opened = _identities(path)
        self._seen: tuple[int, ...] = ()

    def are_there(self) -> bool:
        """Whether each is where it was. Raises `OSError` where the directory cannot be read."""
        try:
            found = os.stat(self._directory)
        except FileNotFoundError:
            return False
        seen = (found.st_dev, found.st_ino, found.st_mtime_ns)
        if seen == self._seen:
            return True
        if _identities(self._path) != self._opened:
            return False
        # The next change within the same tick would have the same time.
        if time.time_ns() - found.st_mtime_ns > _TICK_NS:
            self._seen = seen
        return True


def _identities(path: Path) -> tuple[tuple[int, int], ...]:
    """Return what tells the files from all others; nothing if one is gone."""
    try:
        files = [os.stat(f"{path}{ending}") for ending in _ENDINGS]
    except FileNotFoundError:
        return ()
    return tuple((file.st_dev, file.st_ino) for file in files)
