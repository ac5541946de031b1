"""The object store `filesystem`: every complete upload is a new, immutable file."""

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import FullError, MissingError, StoreError
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Chunks, Place, Product, Stat, Upload
from tams_gateway_filesystem import directories
from tams_gateway_filesystem.layout import Layout, version_of, versions
from tams_gateway_filesystem.temporary import TemporaryFile, sweep

CHUNK: Final = 256 * 1024
"""The size of the chunks that are read, in bytes."""

_TEMPORARY: Final = "@uploads"
_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_REMEDIES: Final = {
    errno.ENOSPC: "make room on its disk, or move it to a larger one",
    errno.EDQUOT: "raise the disk quota of the user that runs the gateway",
    errno.EACCES: "let the user that runs the gateway read and write there",
    errno.EPERM: "let the user that runs the gateway read and write there",
    errno.EROFS: "mount it for writing",
    errno.ENOENT: "mount its disk and start the gateway again",
    errno.EIO: "look for faults of its disk in the log of the system",
}

_SWEPT_EVERY: Final = 60.0
"""Seconds between looks for the uploads of dead writers."""


class FilesystemObjects:
    """Keeps bytes below a directory that several processes may share.

    `durable` makes what is acknowledged survive a power cut. `now` tells the age of abandoned
    uploads, which are swept here. Raises `StoreError` if the directory cannot be used.
    """

    def __init__(
        self, path: Path, media_urls: MediaUrls, *, durable: bool, now: Callable[[], float]
    ) -> None:
        self.media_urls = media_urls
        self._root = path.resolve()
        self._uploads = self._root / _TEMPORARY
        self._layout = Layout(self._root)
        self._durable = durable
        self._now = now
        self._swept = 0.0
        with self._failures():
            self._check_root()
            directories.make_root(self._uploads, durable=durable)
            self._sweep()

    def _check_root(self) -> None:
        """Leave a directory of somebody else alone: what is ours has a folder for uploads."""
        if self._root.exists() and not self._uploads.exists():
            strange = [one.name for one in self._root.iterdir() if one.name != "lost+found"]
            if strange:
                raise StoreError(
                    f"objects in {self._root}: it holds {strange[0]!r} and no {_TEMPORARY};"
                    f" give a directory of its own, or make {_TEMPORARY} if its objects are there"
                )

    def describe(self) -> Product:
        """Return what the storage-backend document says of a file system."""
        return Product(provider="tams-gateway", store_product="filesystem")

    def upload(self, key: str, content_type: str, *, presigned: bool) -> Upload:
        """Return a URL of the gateway's own media route."""
        return self.media_urls.upload(key, content_type, presigned=presigned)

    def download(self, places: Sequence[Place], *, presigned: bool) -> list[str]:
        """Return URLs of the gateway's own media route."""
        return self.media_urls.download([place.key for place in places], presigned=presigned)

    def stat(self, place: Place) -> Stat:
        """Return size and version; the SHA-256 is not kept here."""
        with self._finding(place):
            path = self._layout.find(place)
            return Stat(path.lstat().st_size, version_of(path))

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        """Open the file and return its bytes in chunks."""
        with self._finding(place):
            path = self._layout.find(place)
            file = FileIO(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
            size = os.fstat(file.fileno()).st_size
            file.seek(first)
        end = size if last is None else min(size, last + 1)
        return _Chunks(file, end - first, self._failures)

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        """Write to a temporary file, which then appears as a new version by one rename."""
        self._layout.folder(key)  # No key is refused after its bytes came.
        digest, size = hashlib.sha256(), 0
        # Errors of `chunks` pass through, also those of its socket: only our own are wrapped.
        with self._failures():
            self._sweep()
            file = TemporaryFile(self._uploads)
        try:
            for chunk in chunks:
                with self._failures():
                    file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            with self._failures():
                target = self._place(file, key)
        finally:
            with self._failures():
                file.close()
        return Stat(size, version_of(target), digest.hexdigest(), content_type)

    def _sweep(self) -> None:
        """Remove what dead writers left, now and then: a restart may come too soon for that."""
        now = self._now()
        if not 0 <= now - self._swept < _SWEPT_EVERY:
            self._swept = now
            sweep(self._uploads, now)

    def delete(self, places: Sequence[Place]) -> Mapping[Place, str]:
        """Remove the files, and the directories that they leave empty.

        Each directory is synced once: a sync for each object would hold up the commits of others.
        """
        failed: dict[Place, str] = {}
        left: dict[Path, list[Place]] = {}
        for place in places:
            try:
                left.setdefault(self._delete(place), []).append(place)
            except MissingError:
                continue
            except StoreError as error:
                failed[place] = str(error)
        if self._durable:
            for folder, gone in left.items():
                try:
                    self._sync(folder)
                except StoreError as error:
                    failed |= dict.fromkeys(gone, str(error))
        return failed

    def check(self) -> Health:
        """Write, read and delete an object."""
        place = Place(f"check/{secrets.token_hex(16)}.bin")
        try:
            self.write(place.key, "application/octet-stream", [place.key.encode()])
            found = b"".join(self.read(place))
            self._delete(place)
        except StoreError as error:
            cause = error.__cause__
            number = cause.errno if isinstance(cause, OSError) else None
            remedy = _REMEDIES.get(number or 0, f"see that {self._root} is a directory of its own")
            return Health(False, str(error), remedy)
        if found != place.key.encode():
            return Health(
                False, f"{self._root} gives back other bytes than were written", "replace its disk"
            )
        return Health(True, f"wrote, read and deleted an object in {self._root}")

    def close(self) -> None:
        """Hold nothing."""

    def _delete(self, place: Place) -> Path:
        """Remove what is at a place; return the directory whose names this changed."""
        with self._failures():
            self._uploads.stat()  # Where the disk is not mounted, no object is deleted.
            folder = self._layout.folder(place.key)
            for path in self._doomed(place, folder):
                path.unlink(missing_ok=True)
            return directories.prune(folder, self._root)

    def _sync(self, folder: Path) -> None:
        with self._failures(), suppress(FileNotFoundError):  # Another has removed it since.
            directories.sync(folder)

    def _doomed(self, place: Place, folder: Path) -> list[Path]:
        if place.version is not None:
            return [self._layout.file(place.key, place.version)]
        try:
            return versions(folder)
        except FileNotFoundError:
            return []

    def _place(self, file: TemporaryFile, key: str) -> Path:
        """Let a complete file appear, also behind a power cut, or not at all; return where."""
        if self._durable:
            file.sync()
        target = self._layout.new_file(key)
        directories.move(file.path, target)
        try:
            if self._durable:
                directories.sync_up(target.parent, self._root)
        except OSError:
            target.unlink()
            raise
        return target

    @contextmanager
    def _finding(self, place: Place) -> Iterator[None]:
        """Tell an absent file from an absent disk, and both from other failures."""
        with self._failures():
            try:
                yield
            except FileNotFoundError as error:
                self._uploads.stat()
                raise MissingError(f"nothing at {place.key!r} in {self._root}") from error

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = FullError if error.errno in _FULL else StoreError
            reason = error.strerror or str(error)
            raise kind(f"objects in {self._root}: {reason}") from error


class _Chunks(Iterator[bytes]):
    """The rest of an open file, which is closed at the end and by `close`."""

    def __init__(
        self, file: FileIO, left: int, failures: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._file = file
        self._left = left
        self._failures = failures

    def __next__(self) -> bytes:
        with self._failures():
            chunk = self._file.read(min(CHUNK, self._left)) if self._left > 0 else b""
        if not chunk:
            self.close()
            raise StopIteration
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Close the file."""
        self._left = 0
        self._file.close()
