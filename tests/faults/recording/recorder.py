"""Records what processes do to a directory, by a small library that is preloaded into them."""

import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

_PAGE: Final = 4096
_ENTRIES: Final = 24
"""Where the number of entries stands in the first page, in bytes; behind it, their length."""

_HEAD: Final = struct.Struct("=IIQQQ")


class Kind(IntEnum):
    """What was done; the numbers are those of the library."""

    CREATE = 1
    MKDIR = 2
    WRITE = 3
    TRUNCATE = 4
    SYNC = 5
    RENAME = 6
    UNLINK = 7
    LINK = 8


class Entry(NamedTuple):
    """One call that changed or synced something.

    `file` and `directory` are numbers of inodes. `at` is an offset, a size or, for a rename, the
    directory of the new name; `data` are the bytes written, or the name, or two with NUL between.
    """

    kind: Kind
    file: int
    directory: int
    at: int
    data: bytes


def build(folder: Path) -> Path:
    """Compile the library into a folder. Raises FileNotFoundError where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler: apt-get install gcc libc6-dev")
    library = folder / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    options = ["-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *options, "-o", library, source], check=True)
    return library


class Record:
    """The record of a directory, in a file beside it; it grows while processes are at work."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root = root
        self.path = path
        path.write_bytes(bytes(_PAGE))
        with path.open("rb") as file:
            self._page = mmap.mmap(file.fileno(), _PAGE, prot=mmap.PROT_READ)

    def environment(self, library: Path) -> Mapping[str, str]:
        """Return what makes a process and its children record."""
        return {
            "LD_PRELOAD": str(library),
            "RECORDER_ROOT": str(self.root),
            "RECORDER_FILE": str(self.path),
        }

    def position(self) -> int:
        """Return how many entries there are: what an answer rests on is among them."""
        return int.from_bytes(self._page[_ENTRIES : _ENTRIES + 8], "little")

    def entries(self) -> Iterator[Entry]:
        """Return the entries in their order."""
        with self.path.open("rb") as file:
            file.seek(_PAGE)
            for _ in range(self.position()):
                kind, size, number, directory, at = _HEAD.unpack(file.read(_HEAD.size))
                yield Entry(Kind(kind), number, directory, at, file.read(size))


def contents(root: Path) -> dict[str, bytes | None]:
    """Return all files below a directory with their bytes, and directories with None."""
    found: dict[str, bytes | None] = {}
    for parent, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(Path(parent, name), root)] = None
        for name in files:
            with suppress(FileNotFoundError):
                path = Path(parent, name)
                found[os.path.relpath(path, root)] = path.read_bytes()
    return found
