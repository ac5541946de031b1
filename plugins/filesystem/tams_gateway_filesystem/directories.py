"""Directories made and removed so that neither a race nor a power cut loses a file."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_TRIES: Final = 100
"""How often a directory may be pruned by others just before a file is moved into it."""


def move(source: Path, target: Path) -> None:
    """Move a file into a directory that is made as needed. Raises OSError."""
    for _ in range(_TRIES):
        # A directory that goes between mkdir's two looks at it is told as one that exists.
        with suppress(FileNotFoundError, FileExistsError):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            return
    source.rename(target)


def prune(folder: Path, root: Path) -> Path:
    """Remove a directory and those above it while they are empty; return the first that stays."""
    left, top = str(folder), str(root)
    while left != top:
        try:
            os.rmdir(left)
        except FileNotFoundError:
            pass
        except OSError:  # Not empty, or gone again by the hand of another: either way it stays.
            break
        left = os.path.dirname(left)
    return Path(left)


def sync(folder: Path) -> None:
    """Return when the names in a directory are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_up(folder: Path, root: Path) -> None:
    """Return when the way from the root to a directory is on the disk, and the names in it.

    Each directory counts, also one that stood before: whoever made it may not have come so far.
    Raises OSError.
    """
    while folder != root:
        sync(folder)
        folder = folder.parent
    sync(root)


def make_root(root: Path, *, durable: bool) -> None:
    """Make a directory and those above it. Raises OSError."""
    stands = root
    while not stands.exists():
        stands = stands.parent
    root.mkdir(parents=True, exist_ok=True)
    if durable and stands != root:
        sync_up(root, stands)
