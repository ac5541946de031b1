"""Which transactions of this process are open, in a file that outlives it.

A process that is killed leaves them open, and what they have changed stays locked until the cluster
ends them, which may take minutes. Others on this machine find them in its file, and roll them back.
"""

import fcntl
import mmap
import os
import secrets
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tams_gateway.storage.errors import StoreError

_PLACES: Final = 1024
"""How many transactions a file can tell; others are left to the cluster."""

_ONE: Final = struct.Struct("<Q")
_NONE: Final = 0


class Journal:
    """The journal of a process, in a folder that all processes on a schema share.

    Its file is locked as long as the process lives. Raises `StoreError` where there can be none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._free = list(range(_PLACES))
        self._places: dict[int, int] = {}
        try:
            while not self._make():
                pass
        except OSError as error:
            told = f"{folder}: {error.strerror}; name another folder as journal"
            raise StoreError(told) from error

    def _make(self) -> bool:
        """Make the file and lock it; False if another process has taken it away meanwhile."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_uid != os.getuid():
            raise StoreError(f"{self._folder} is another user's; name another folder as journal")
        self._path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self._file = self._path.open("x+b", buffering=0)
        except FileNotFoundError:  # The folder went with the process that was the last.
            return False
        self._file.truncate(_PLACES * _ONE.size)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        if not self._path.exists():
            self._file.close()
            return False
        self._map = mmap.mmap(self._file.fileno(), 0)
        return True

    def begun(self, txid: int) -> None:
        """Note a transaction that is open from now on."""
        with self._mutex:
            if self._free:
                place = self._places[txid] = self._free.pop()
                _ONE.pack_into(self._map, place * _ONE.size, txid)

    def ended(self, txid: int) -> None:
        """Forget a transaction that is certainly open no more."""
        with self._mutex:
            place = self._places.pop(txid, None)
            if place is not None:
                _ONE.pack_into(self._map, place * _ONE.size, _NONE)
                self._free.append(place)

    def end_those_left(self, roll_back: Callable[[int], object]) -> None:
        """Roll back what processes that are gone left open. Raises `StoreError`."""
        try:
            for path in self._folder.iterdir():
                if path != self._path:
                    _end_those_of(path, roll_back)
        except OSError as error:
            raise StoreError(f"{self._folder}: {error.strerror}; is it readable?") from error

    def close(self) -> None:
        """Remove the file, if nothing is noted in it, and the folder of the last one."""
        self.leave()
        if not self._places:
            self._path.unlink(missing_ok=True)
        with suppress(OSError):  # It is not empty, or gone.
            self._folder.rmdir()

    def leave(self) -> None:
        """Close the file, as a child does with that of its parent."""
        self._map.close()
        self._file.close()


def _end_those_of(path: Path, roll_back: Callable[[int], object]) -> None:
    """Do it for one process, if it is gone."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # It lives.
        for (txid,) in _ONE.iter_unpack(file.read()):
            if txid != _NONE:
                roll_back(txid)
        path.unlink(missing_ok=True)
