"""The directory of a backup: its files, and the manifest that makes it one.

`manifest.json` names a file of metadata, a list of objects, and with it files of bytes, each named
by its SHA-256. It is written last and replaced at once, so a directory always holds one backup or
none, and a second one copies only what is new.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from tams_gateway.backup.lines import decode
from tams_gateway.storage.content import Entry

FORMAT: Final = 1
CHUNK: Final = 2**18

_MANIFEST: Final = "manifest.json"
_OBJECTS: Final = "objects"
_is_ours = re.compile(
    r"manifest\.json|objects|.*\.part|(metadata|objects)-[0-9a-f]+\.jsonl"
).fullmatch


class BackupError(Exception):
    """A backup cannot be made or used; the message says what to do."""


class File(msgspec.Struct, frozen=True):
    """A file below the directory: its size in bytes and its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class Backend(msgspec.Struct, frozen=True):
    """A storage backend that objects of the backup lie in."""

    id: str
    name: str
    label: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup consists of. `created` is a date-time of RFC 3339."""

    format: int
    created: str
    gateway: str
    metadata: File
    objects: File
    backends: tuple[Backend, ...]
    segments: int
    instances: int


class Item(msgspec.Struct, frozen=True, gc=False):
    """An instance of an object whose bytes are in the backup."""

    object_id: str
    storage_id: str
    key: str
    version: str | None
    content_type: str
    size: int
    sha256: str


_items = msgspec.json.Decoder(Item)
_manifests = msgspec.json.Decoder(Manifest)


class Folder:
    """The directory of a backup. Its methods raise `BackupError`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the directory, for its owner alone, or see that it is one of backups."""
        with self._failures():
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            strange = [one.name for one in self.path.iterdir() if not _is_ours(one.name)]
            if strange:
                raise BackupError(f"{self.path}: holds {strange[0]!r}; give a directory of its own")
            (self.path / _OBJECTS).mkdir(exist_ok=True, mode=0o700)
            for number in range(256):
                (self.path / _OBJECTS / f"{number:02x}").mkdir(exist_ok=True, mode=0o700)

    def manifest(self) -> Manifest:
        """Return the manifest."""
        path = self.path / _MANIFEST
        try:
            found = _manifests.decode(path.read_bytes())
        except FileNotFoundError as error:
            raise BackupError(f"{self.path}: holds no backup that was finished") from error
        except (OSError, msgspec.DecodeError) as error:
            raise BackupError(f"{path}: {error}") from error
        if found.format != FORMAT:
            raise BackupError(f"{path}: of another format; use the release that made it")
        return found

    def finish(self, manifest: Manifest, mark: int) -> None:
        """Let the manifest take effect, and remove what it does not name or mark."""
        with self._failures():
            for number in range(256):
                _sync(self.path / _OBJECTS / f"{number:02x}")
            _sync(self.path / _OBJECTS)
            with self.writing() as writing:
                writing.write(msgspec.json.format(msgspec.json.encode(manifest)))
            writing.place(_MANIFEST)
            kept = {_MANIFEST, _OBJECTS, manifest.metadata.name, manifest.objects.name}
            for one in self.path.iterdir():
                if one.name not in kept:
                    one.unlink()
            for one in (self.path / _OBJECTS).glob("*/*"):
                if one.stat().st_mtime_ns != mark:
                    one.unlink()

    @contextmanager
    def writing(self) -> Iterator["Writing"]:
        """Give a new file to write; it is on the disk when the block ends, `place` names it."""
        part = self.path / f"{secrets.token_hex(8)}.part"
        with self._failures():
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                yield Writing(part, file)
                file.flush()
                os.fsync(file.fileno())

    def bytes_of(self, sha256: str) -> Path:
        """Return where the bytes of that checksum are."""
        return self.path / _OBJECTS / sha256[:2] / sha256

    def mark(self, sha256: str, mark: int) -> None:
        """Say that the backup under way, told by its time, needs these bytes."""
        os.utime(self.bytes_of(sha256), ns=(mark, mark))

    def has(self, sha256: str, size: int) -> bool:
        """Whether the bytes are there, at that size."""
        try:
            return self.bytes_of(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def read(self, sha256: str) -> Iterator[bytes]:
        """Yield bytes in chunks."""
        with self._failures(), self.bytes_of(sha256).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def entries(self, name: str) -> Iterator[Entry]:
        """Yield the entries of a file of metadata."""
        with closing(self._lines(name)) as lines:
            yield from map(decode, lines)

    def items(self, name: str) -> Iterator[Item]:
        """Yield the items of a list of objects."""
        with closing(self._lines(name)) as lines:
            yield from map(_items.decode, lines)

    def check(self, file: File) -> None:
        """Raise `BackupError` if a file is not as the manifest says."""
        digest, size = hashlib.sha256(), 0
        with self._failures(), (self.path / file.name).open("rb") as opened:
            while chunk := opened.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
        if (size, digest.hexdigest()) != (file.size, file.sha256):
            raise BackupError(f"{self.path / file.name}: differs from what was written")

    def _lines(self, name: str) -> Generator[bytes, None, None]:
        with self._failures(), (self.path / name).open("rb") as file:
            yield from file

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackupError(f"{self.path}: {error.strerror or error}") from error


class Writing:
    """A file that is being written, with the checksum of what was."""

    def __init__(self, part: Path, file: BinaryIO) -> None:
        self._part = part
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """The checksum of all that was written, in hexadecimal."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def place(self, name: str) -> File:
        """Give the file, which is closed, its name below the directory."""
        target = self._part.parent / name
        self._part.replace(target)
        _sync(target.parent)
        return File(name, self.size, self.sha256)

    def place_bytes(self) -> None:
        """Name the file, which is closed, by its checksum."""
        self._part.replace(self._part.parent / _OBJECTS / self.sha256[:2] / self.sha256)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
