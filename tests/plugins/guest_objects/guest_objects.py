"""A guest: an object store that keeps small objects as rows of one SQLite file."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.errors import FullError, MissingError, StoreError
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Chunks, ObjectStore, Place, Product, Stat, Upload

SCHEMA = """
PRAGMA synchronous = EXTRA;
CREATE TABLE IF NOT EXISTS objects (version INTEGER PRIMARY KEY AUTOINCREMENT,
    key, content_type, sha256, bytes);
CREATE INDEX IF NOT EXISTS versions ON objects (key, version);
"""
AT = "FROM objects WHERE key = ? AND version = ifnull(?, version)"
CHUNK = 256 * 1024


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` is the file of the database, `largest` the bytes of the largest object."""

    path: str
    largest: int = 64 * 2**20


class GuestObjects:
    """One connection, which threads use in turn. An upload is a row, and its number a version."""

    def __init__(self, settings: Settings, context: Context) -> None:
        keys, lifetime = context.keys("media"), context.url_lifetime
        self.media_urls = MediaUrls(context.name, keys, lifetime, context.now)
        self._settings, self._lock = settings, threading.Lock()
        with self._border():
            self._db = sqlite3.connect(settings.path, timeout=30, check_same_thread=False)
            self._db.executescript(SCHEMA)

    @contextmanager
    def _border(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            message = f"{self._settings.path}: {error}; see that it can be written"
            raise (FullError if full else StoreError)(message) from error

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._border(), self._lock, self._db:
            return self._db.execute(sql, values).fetchall()

    def _find(self, columns: str, place: Place) -> tuple[Any, ...]:
        sql = f"SELECT {columns} {AT} ORDER BY version DESC LIMIT 1"
        for row in self._rows(sql, place.key, place.version):
            return row
        raise MissingError(f"{self._settings.path}: nothing at {place.key!r}")

    def describe(self) -> Product:
        return Product(provider="guest", store_product="sqlite")

    def upload(self, key: str, content_type: str, *, presigned: bool) -> Upload:
        return self.media_urls.upload(key, content_type, presigned=presigned)

    def download(self, places: Sequence[Place], *, presigned: bool) -> list[str]:
        return self.media_urls.download([place.key for place in places], presigned=presigned)

    def stat(self, place: Place) -> Stat:
        columns = "length(bytes), CAST(version AS TEXT), sha256, content_type"
        return Stat(*self._find(columns, place))

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        (data,) = self._find("bytes", place)
        end = len(data) if last is None else min(len(data), last + 1)
        return (data[at : min(at + CHUNK, end)] for at in range(first, end, CHUNK))

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        data = bytearray()
        for chunk in chunks:
            data += chunk
            if len(data) > self._settings.largest:
                raise FullError(f"{key!r} has more than {self._settings.largest} bytes")
        row = (key, content_type, sha256(data).hexdigest(), data)
        sql = "INSERT INTO objects VALUES (NULL, ?, ?, ?, ?) RETURNING CAST(version AS TEXT)"
        [(version,)] = self._rows(sql, *row)
        return Stat(len(data), version, row[2], content_type)

    def delete(self, places: Sequence[Place]) -> Mapping[Place, str]:
        with self._border(), self._lock, self._db:
            self._db.executemany(f"DELETE {AT}", [(place.key, place.version) for place in places])
        return {}

    def check(self) -> Health:
        try:
            self.delete([Place("check", self.write("check", "text/plain", [b"check"]).version)])
        except StoreError as error:
            return Health(False, str(error), "see that the file and its directory can be written")
        return Health(True, f"{self._settings.path} can be written")

    def close(self) -> None:
        self._db.close()


@hookimpl
def tams_object_store() -> Provider[ObjectStore]:
    """Register the store."""
    return Provider("guest-objects", Settings, GuestObjects, "Small objects in SQLite.", api=1)
