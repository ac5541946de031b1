"""Small disks for tests, which may fill them up or make them read-only."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

MIB: Final = 2**20


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator["Disk"]:
    """Mount a disk of so many bytes at a new folder. Only root may: OSError."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(folder))
    try:
        yield Disk(folder)
    finally:
        # Lazily: of a process that was killed a file may still be open.
        _run("umount", "--lazy", str(folder))


class Disk:
    """A small disk, mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, but: int = 0) -> None:
        """Take all the space that is left, but so many bytes."""
        with self._ballast.open("ab") as file:
            status = os.statvfs(self.path)
            left = status.f_bavail * status.f_frsize - but
            if left > 0:
                os.posix_fallocate(file.fileno(), file.tell(), left)

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink()

    def set_read_only(self, value: bool) -> None:
        """Forbid or allow writing, for root as well."""
        _run("mount", "-o", f"remount,{'ro' if value else 'rw'}", str(self.path))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(done.stderr.strip())
