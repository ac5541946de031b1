"""Uploads under way: files that nobody reads, each locked by the process that writes it."""

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

_YOUNG: Final = 60
"""Seconds within which a file may not have got its lock yet."""

_SYNCED_EVERY: Final = 32 * 2**20
"""In bytes."""


class TemporaryFile:
    """A new file in a folder, open for writing. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o666)
        self._unsynced = 0
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, chunk: bytes) -> None:
        """Append the bytes. Raises OSError.

        Now and then what was written goes to the disk: the sync of gigabytes at the end would
        hold up that of everybody else on this disk for as long, commits of metadata too.
        """
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._unsynced += len(chunk)
        if self._unsynced >= _SYNCED_EVERY:
            os.fdatasync(self._descriptor)
            self._unsynced = 0

    def sync(self) -> None:
        """Return when the bytes are on the disk. Raises OSError."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Remove the file, unless it was moved to its place. Raises OSError."""
        try:
            self.path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def sweep(folder: Path, now: float) -> int:
    """Remove the files whose writers are dead; return how many. Raises OSError."""
    swept = 0
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError, BlockingIOError):  # Moved by now, or still written.
            # A file of the future is no young one either: the clock was set back.
            if abs(now - entry.stat(follow_symlinks=False).st_mtime) > _YOUNG:
                swept += _remove_abandoned(entry.path)
    return swept


def _remove_abandoned(path: str) -> bool:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)
    return True
