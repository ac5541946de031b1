"""What a server uses: processor, memory, disk."""

import os
import time
from pathlib import Path
from statistics import mean
from typing import Final

import msgspec

from tests.servers.process import Serve, rss

_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Usage(msgspec.Struct, frozen=True):
    """What a server used in a span of time: seconds of CPU, and bytes on the average."""

    cpu: float
    memory: float
    disk: float


def usage(server: Serve, length: float, samples: int = 10) -> Usage:
    """Watch a server for so many seconds."""
    processes = server.processes()
    before = cpu(processes)
    memory, disk = [], []
    end = time.monotonic() + length
    for left in range(samples, 0, -1):
        time.sleep(max(0.0, end - time.monotonic()) / left)
        memory.append(rss(processes))
        disk.append(size(server.folder / "data"))
    return Usage(round(cpu(processes) - before, 2), mean(memory), mean(disk))


def cpu(processes: list[int]) -> float:
    """Return the seconds of CPU that processes have used."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in processes]
    return sum(int(one[11]) + int(one[12]) for one in fields) / _TICKS


def size(folder: Path) -> int:
    """Return the bytes on the disk below a folder, while files in it come and go."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in ("", *names):
            try:
                total += Path(parent, name).lstat().st_blocks * 512
            except FileNotFoundError:
                continue
    return total
