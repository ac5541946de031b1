"""What figures were measured with, and on: versions, the machine, how fast its disk syncs."""

import os
import platform
import sqlite3
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = ("tams-gateway", "falcon", "msgspec", "gunicorn", "granian", "uvicorn", "uvloop")
_PAGE: Final = 4096
_COMMIT: Final = 4
"""How many pages a small commit writes."""


def versions() -> dict[str, str]:
    """Return the versions of what is measured."""
    found = {name: version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, **found}


def shape(folder: Path) -> dict[str, Any]:
    """Return what the machine is; `folder` lies on the disk that is used."""
    return {
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "file_system": _file_system(folder),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _first(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _file_system(folder: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = {str(one) for one in (folder.absolute(), *folder.absolute().parents)}
    return max((point, kind) for point, kind in mounts if point in above)[1]


class Disk:
    """Measures how long an fdatasync takes that a commit like SQLite's waits for."""

    def __init__(self, folder: Path) -> None:
        self.times: list[float] = []
        self._file = os.open(folder / "sync", os.O_RDWR | os.O_CREAT)
        os.pwrite(self._file, bytes(1000 * _PAGE), 0)
        os.fsync(self._file)
        self._at = 0

    def measure(self, times: int = 10) -> None:
        """Write and sync some times, over what is there already, as a log of commits does."""
        for _ in range(times):
            self._at = (self._at + _COMMIT) % (1000 - _COMMIT)
            os.pwrite(self._file, os.urandom(_COMMIT * _PAGE), self._at * _PAGE)
            start = time.perf_counter()
            os.fdatasync(self._file)
            self.times.append(time.perf_counter() - start)

    def seconds(self) -> float:
        """Return the median so far."""
        return statistics.median(self.times)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
