"""Object stores that are wrong on purpose, each in one thing, as plugins of their names."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from tams_gateway_memory.objects import MemoryObjects

from tams_gateway.plugin import Context, Provider, hookimpl
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
        urls = MediaUrls(context.name, context.key("media"), context.url_lifetime, context.now)
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
