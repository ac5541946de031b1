"""The marks of a database (`tams_gateway.storage.marks`), in a file that its processes share."""

import mmap
import os
from pathlib import Path

from tams_gateway.storage.marks import SIZE, Marks


class SharedMarks(Marks):
    """The marks of the database at a path, in `PATH-marks`. Raises OSError.

    What the file holds matters to nobody but the processes that have it open.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(f"{path}-marks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # On a full disk a hole in the file would kill whoever writes into it.
            os.posix_fallocate(descriptor, 0, SIZE)
            self._memory = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)
        super().__init__(memoryview(self._memory))

    def close(self) -> None:
        """Let the file go; nobody watches any more."""
        super().close()
        self._memory.close()
