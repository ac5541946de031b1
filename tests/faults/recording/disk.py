"""A disk as it could be after a power cut, made from a record of what was asked of it.

It is harsher than the file systems that people use:

- The bytes of a file are certain up to its last sync. Of each later write any blocks may be there
  or not, torn at 512 or 4096 bytes; truncations may be lost as well; what was never written but
  lies before something that was, reads as zeros.
- The entries of a directory are certain up to the last sync of that directory; syncing a file
  does not bring its name. Of later changes any may be there, in whatever order they were made in,
  except that those of one name come in turn, and that a renamed file never has no name at all:
  its old name goes only when the new one is there.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from tests.faults.recording.recorder import Entry, Kind


class _Write(NamedTuple):
    at: int
    data: bytes

    def on(self, content: bytearray) -> None:
        if len(content) < self.at:
            content.extend(bytes(self.at - len(content)))
        content[self.at : self.at + len(self.data)] = self.data


class _Truncation(NamedTuple):
    size: int

    def on(self, content: bytearray) -> None:
        del content[self.size :]
        content.extend(bytes(self.size - len(content)))


class File:
    """A file: what is certain of its bytes, and what came since."""

    def __init__(self) -> None:
        self.certain = bytearray()
        self.pending: list[_Write | _Truncation] = []

    def sync(self) -> None:
        """Make all of it certain."""
        for change in self.pending:
            change.on(self.certain)
        self.pending.clear()


class Change:
    """A name of a directory that leads to a node from now on, or to none."""

    def __init__(self, directory: "Directory", name: str, node: "File | Directory | None") -> None:
        self.directory = directory
        self.name = name
        self.node = node
        self.needs: Change | None = None
        """The new name of what is renamed: it never comes later than this."""
        self.certain = False
        directory.now[name] = node
        directory.pending.append(self)


class Directory:
    """A directory: what its names lead to for certain, what changed since, and what is now."""

    def __init__(self) -> None:
        self.certain: dict[str, File | Directory | None] = {}
        self.pending: list[Change] = []
        self.now: dict[str, File | Directory | None] = {}

    def sync(self) -> None:
        """Make all of it certain, and with it the new names of what was renamed from here."""
        pending, self.pending = self.pending, []
        for change in pending:
            self.certain[change.name] = change.node
            change.certain = True
            if change.needs is not None and not change.needs.certain:
                change.needs.directory.sync()


class Choice(NamedTuple):
    """What luck a power cut has: which share of the uncertain is there, torn at which size."""

    share: float
    block: int


NOTHING: Final = Choice(0.0, 512)
EVERYTHING: Final = Choice(1.0, 512)


def any_choice(luck: random.Random) -> Choice:
    """Return a random one."""
    return Choice(luck.choice((0.0, 0.1, 0.5, 0.9, luck.random())), luck.choice((512, 4096)))


class Disk:
    """Follows a record, entry by entry, and can be cut off at each.

    `ignored` tells which syncs the disk does not carry out: by the path that is synced (`""` for
    the root) and whether it is a directory. A test shows with it that a missing sync is noticed.
    """

    def __init__(
        self, root: Path, ignored: Callable[[str, bool], bool] = lambda _path, _directory: False
    ) -> None:
        self.root = Directory()
        self._nodes: dict[int, File | Directory] = {root.stat().st_ino: self.root}
        self._paths: dict[int, str] = {root.stat().st_ino: ""}
        self._ignored = ignored

    def follow(self, entry: Entry) -> None:
        """Take the next entry."""
        match entry.kind:
            case Kind.CREATE | Kind.MKDIR:
                self._nodes[entry.file] = File() if entry.kind is Kind.CREATE else Directory()
                self._name(entry.directory, entry.data.decode(), entry.file)
            case Kind.LINK:
                self._name(entry.directory, entry.data.decode(), entry.file)
            case Kind.WRITE:
                self._file(entry).pending.append(_Write(entry.at, entry.data))
            case Kind.TRUNCATE:
                self._file(entry).pending.append(_Truncation(entry.at))
            case Kind.SYNC:
                node = self._nodes[entry.file]
                if not self._ignored(self._paths[entry.file], isinstance(node, Directory)):
                    node.sync()
            case Kind.UNLINK:
                Change(self._directory(entry.directory), entry.data.decode(), None)
            case Kind.RENAME:
                self._rename(entry)

    def _name(self, directory: int, name: str, number: int) -> None:
        self._paths[number] = f"{self._paths[directory]}/{name}".removeprefix("/")
        Change(self._directory(directory), name, self._nodes[number])

    def _rename(self, entry: Entry) -> None:
        old, new = entry.data.decode().split("\0")
        source, target = self._directory(entry.directory), self._directory(entry.at)
        node = source.now[old]
        number = next(number for number, one in self._nodes.items() if one is node)
        self._paths[number] = f"{self._paths[entry.at]}/{new}".removeprefix("/")
        named = Change(target, new, node)
        Change(source, old, None).needs = named

    def _file(self, entry: Entry) -> File:
        node = self._nodes[entry.file]
        assert isinstance(node, File)
        return node

    def _directory(self, number: int) -> Directory:
        node = self._nodes[number]
        assert isinstance(node, Directory)
        return node

    def cut(self, target: Path, luck: random.Random, choice: Choice) -> None:
        """Write into a new directory what could be there if the power went now."""
        self._write(self.root, target, luck, choice, _kept(self._reachable(), luck, choice.share))

    def _reachable(self) -> list[Directory]:
        """Return all directories that may be there."""
        found, seen = [self.root], {id(self.root)}
        for directory in found:
            for node in [*directory.certain.values(), *(one.node for one in directory.pending)]:
                if isinstance(node, Directory) and id(node) not in seen:
                    seen.add(id(node))
                    found.append(node)
        return found

    def _write(
        self,
        directory: Directory,
        target: Path,
        luck: random.Random,
        choice: Choice,
        kept: set[Change],
    ) -> None:
        target.mkdir()
        names = dict(directory.certain)
        names.update((one.name, one.node) for one in directory.pending if one in kept)
        for name, node in names.items():
            if isinstance(node, Directory):
                self._write(node, target / name, luck, choice, kept)
            elif node is not None:
                (target / name).write_bytes(_content(node, luck, choice))


def _kept(directories: list[Directory], luck: random.Random, share: float) -> set[Change]:
    """Choose from the uncertain changes of names: for each name a first part of its changes."""
    kept: set[Change] = set()
    for directory in directories:
        stopped: set[str] = set()
        for change in directory.pending:
            if change.name not in stopped and luck.random() < share:
                kept.add(change)
            else:
                stopped.add(change.name)
    while unfounded := {one for one in kept if _is_unfounded(one, kept)}:
        for change in unfounded:
            later = change.directory.pending[change.directory.pending.index(change) :]
            kept.difference_update(one for one in later if one.name == change.name)
    return kept


def _is_unfounded(change: Change, kept: set[Change]) -> bool:
    return change.needs is not None and not change.needs.certain and change.needs not in kept


def _content(file: File, luck: random.Random, choice: Choice) -> bytes:
    """Return bytes that the file could have."""
    content = bytearray(file.certain)
    for change in file.pending:
        if isinstance(change, _Truncation):
            if luck.random() < choice.share:
                change.on(content)
            continue
        start = 0
        while start < len(change.data):
            end = start + choice.block - (change.at + start) % choice.block
            if luck.random() < choice.share:
                _Write(change.at + start, change.data[start:end]).on(content)
            start = end
    return bytes(content)
