"""Where a key's bytes lie below the root: a folder for each key, a file for each version.

The key `2026/11/a.ts` has the folder `2026/11/a.ts@`, and in it `VERSION.ts`. Keys have no `@`,
so that no key's folder is on the way to another's, and no key meets the temporary files.
"""

import hashlib
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

from tams_gateway.storage.errors import MissingError, StoreError
from tams_gateway.storage.objects import Place

_LONGEST_NAME = 255
"""What file systems take, in bytes; keys may have longer segments, which are hashed."""

_is_version = re.compile(r"[0-9a-f]{32}").fullmatch
_is_safe = re.compile(
    r"(?!\.\.?(/|\Z))[A-Za-z0-9._=~-]+(/(?!\.\.?(/|\Z))[A-Za-z0-9._=~-]+)*"
).fullmatch


class Layout:
    """Turns keys and versions into paths that never leave the root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folder(self, key: str) -> Path:
        """Return the folder of a key's versions, which need not exist.

        Raises `StoreError` for a key that is no key, and where a symbolic link inside the root
        would lead elsewhere.
        """
        if _is_safe(key) is None:
            raise StoreError(f"not a key of an object store: {key!r}")
        *parents, last = map(_name, key.split("/"))
        folder = str(self._root)
        for name in (*parents, f"{last}@"):
            folder = f"{folder}/{name}"
            if os.path.islink(folder):
                raise StoreError(f"{folder}: a symbolic link leads elsewhere; remove it")
        return Path(folder)

    def file(self, key: str, version: str) -> Path:
        """Return the file of a version; it ends as the key does."""
        if _is_version(version) is None:
            raise MissingError(f"no version {version!r} of {key!r}")
        name = key.rpartition("/")[2]
        stem, dot, ending = name.rpartition(".")
        suffix = f".{ending}" if stem and dot and len(ending) <= 32 else ""
        return self.folder(key) / f"{version}{suffix}"

    def new_file(self, key: str) -> Path:
        """Return the file of a version that nobody else makes and that sorts behind those there.

        It begins with the time, unless the clock was set back behind the latest.
        """
        number = time.time_ns()
        with suppress(FileNotFoundError):
            for latest in versions(self.folder(key))[-1:]:
                number = max(number, int(version_of(latest)[:16], 16) + 1)
        return self.file(key, f"{number:016x}{secrets.token_hex(8)}")

    def find(self, place: Place) -> Path:
        """Return the file of a place, without a version the latest.

        Raises `MissingError`, or FileNotFoundError, if nothing is there.
        """
        if place.version is not None:
            return self.file(place.key, place.version)
        found = versions(self.folder(place.key))
        if not found:
            raise MissingError(f"nothing at {place.key!r}")
        return found[-1]


def versions(folder: Path) -> list[Path]:
    """Return the files of all versions in a folder, the oldest first. Raises FileNotFoundError."""
    return sorted(path for path in folder.iterdir() if _is_version(path.name[:32]))


def version_of(path: Path) -> str:
    """Return the version that a file holds."""
    return path.name[:32]


def _name(segment: str) -> str:
    """Return a name for a segment of a key; with an `@` behind it, it still fits."""
    if len(segment) < _LONGEST_NAME:
        return segment
    return f"@{hashlib.sha256(segment.encode()).hexdigest()}"
