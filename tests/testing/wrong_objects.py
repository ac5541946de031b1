"""Object stores that are wrong on purpose, each in one thing, as plugins of their names.

`Copying` is right: no store of ours copies within its server, and a clause wants to be met, too.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from tams_gateway_memory.objects import MemoryObjects

from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.errors import MissingError, StoreError
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Chunks, ObjectStore, Place, Stat


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class InMemory(MemoryObjects):
    """A plugin whose store lives in one process."""

    @classmethod
    @hookimpl
    def tams_object_store(cls) -> Provider[ObjectStore]:
        return Provider(cls.__name__, Settings, cls._open, "Wrong.", api=1, shared=False)

    @classmethod
    def _open(cls, settings: Settings, context: Context) -> ObjectStore:
        urls = MediaUrls(context.name, context.keys("media"), context.url_lifetime, context.now)
        return cls(urls)


class HalfWritten(InMemory):
    """Keeps what came of an upload that failed."""

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        came: list[bytes] = []
        try:
            came.extend(chunks)
        finally:
            stat = super().write(key, content_type, came)
        return stat


class ReadableTooSoon(InMemory):
    """Shows an upload while it comes."""

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        came: list[bytes] = []
        for chunk in chunks:
            came.append(chunk)
            super().write(key, content_type, came)
        return super().write(key, content_type, came)


class ServesDeleted(InMemory):
    """Deletes nothing."""

    def delete(self, places: Sequence[Place]) -> Mapping[Place, str]:
        return {}


class OneVersion(InMemory):
    """Gives the latest bytes for every version."""

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        return super().read(Place(place.key), first, last)


class ShortRange(InMemory):
    """Takes the last byte of a range for the one behind it."""

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        return super().read(place, first, None if last is None else last - 1)


class Copying(InMemory):
    """Copies what lies in it, and nothing else."""

    def copy(self, key: str, content_type: str, source: object, place: Place) -> Stat | None:
        return self.write(key, content_type, self.read(place)) if source is self else None


class CopiesByName(Copying):
    """Lets a copy lead to what it was copied from."""

    def __init__(self, media_urls: MediaUrls) -> None:
        super().__init__(media_urls)
        self._originals: dict[str, Place] = {}

    def copy(self, key: str, content_type: str, source: object, place: Place) -> Stat | None:
        if source is not self:
            return None
        self._originals[key] = place
        return self.stat(place)

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        return super().read(self._originals.get(place.key, place), first, last)


class KeysAsPaths(InMemory):
    """Takes a key for a path, and so puts files wherever it leads."""

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        data = b"".join(chunks)
        path = Path("objects") / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise StoreError(f"{path}: {error}") from error
        return super().write(key, content_type, [data])


class WritesInPlace(InMemory):
    """Writes a file under its own name from the first byte on, for all processes to see."""

    @classmethod
    @hookimpl
    def tams_object_store(cls) -> Provider[ObjectStore]:
        return Provider(cls.__name__, Settings, cls._open, "Wrong.", api=1)

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        digest = hashlib.sha256()
        with path.open("wb", buffering=0) as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
        return Stat(path.stat().st_size, None, digest.hexdigest())

    def stat(self, place: Place) -> Stat:
        return Stat(len(self._bytes(place)))

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        data = self._bytes(place)
        return (part for part in [data[first : None if last is None else last + 1]])

    def _path(self, key: str) -> Path:
        return Path("files") / hashlib.sha256(key.encode()).hexdigest()

    def _bytes(self, place: Place) -> bytes:
        try:
            return self._path(place.key).read_bytes()
        except FileNotFoundError as error:
            raise MissingError(f"nothing at {place.key!r}") from error
