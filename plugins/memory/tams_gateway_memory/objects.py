"""The object store `memory`: bytes in the memory of this process."""

import hashlib
import itertools
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Chunks, Place, Product, Stat, Upload

CHUNK: Final = 256 * 1024
"""The size of the chunks that are read, in bytes."""


class _Version(msgspec.Struct, frozen=True, gc=False):
    data: bytes
    stat: Stat


class MemoryObjects:
    """Keeps every complete upload as a version of its key, until the process ends."""

    def __init__(self, media_urls: MediaUrls) -> None:
        self.media_urls = media_urls
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, _Version]] = {}
        self._numbers = itertools.count(1)

    def describe(self) -> Product:
        """Return what the storage-backend document says of this store."""
        return Product(provider="tams-gateway", store_product="memory")

    def upload(self, key: str, content_type: str, *, presigned: bool) -> Upload:
        """Return a URL of the gateway's own media route."""
        return self.media_urls.upload(key, content_type, presigned=presigned)

    def download(self, places: Sequence[Place], *, presigned: bool) -> list[str]:
        """Return URLs of the gateway's own media route."""
        return self.media_urls.download([place.key for place in places], presigned=presigned)

    def stat(self, place: Place) -> Stat:
        """Return all that is known of the bytes."""
        return self._find(place).stat

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        """Return the bytes in chunks."""
        data = self._find(place).data
        end = len(data) if last is None else min(len(data), last + 1)
        return (data[at : min(at + CHUNK, end)] for at in range(first, end, CHUNK))

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        """Keep the bytes as a new version."""
        data = b"".join(chunks)
        with self._lock:
            version = f"{next(self._numbers):016x}"
            stat = Stat(len(data), version, hashlib.sha256(data).hexdigest(), content_type)
            self._objects.setdefault(key, {})[version] = _Version(data, stat)
        return stat

    def delete(self, places: Sequence[Place]) -> Mapping[Place, str]:
        """Forget the bytes."""
        with self._lock:
            for place in places:
                versions = self._objects.get(place.key, {})
                if place.version is None:
                    versions.clear()
                versions.pop(place.version or "", None)
                if not versions:
                    self._objects.pop(place.key, None)
        return {}

    def check(self) -> Health:
        """Say how much is kept."""
        with self._lock:
            kept = [one.stat.size for each in self._objects.values() for one in each.values()]
        return Health(True, f"keeps {len(kept)} uploads of {sum(kept)} bytes in memory")

    def close(self) -> None:
        """Forget everything."""
        self._objects.clear()

    def _find(self, place: Place) -> _Version:
        with self._lock:
            versions = self._objects.get(place.key, {})
            version = place.version or next(reversed(versions), "")
            if version not in versions:
                raise MissingError(f"nothing at {place.key!r} in memory")
            return versions[version]
