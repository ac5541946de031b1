"""The contract of object stores; each configured one is a TAMS storage backend."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from tams_gateway.domain.health import Health


class Chunks(Iterator[bytes], Protocol):
    """Bytes in pieces, as a generator gives them; whoever asked for them closes them."""

    def close(self) -> None:
        """Release what is held, whether or not all was read."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where bytes are: the key made at allocation, and the version where the store keeps them.

    The version is what `write` or `stat` told when the object was registered. None means the
    bytes as they are now.
    """

    key: str
    version: str | None = None


class Stat(msgspec.Struct, frozen=True):
    """What a store knows of bytes: their size in bytes, and the rest where it keeps it."""

    size: int
    version: str | None = None
    sha256: str | None = None
    """In lower-case hexadecimal."""
    content_type: str | None = None


class Upload(msgspec.Struct, frozen=True):
    """How a client uploads: a PUT to `url` with the content type, and these further headers.

    A `url` that begins with `/` is below the gateway's own base URL.
    """

    url: str
    presigned: bool
    headers: Mapping[str, str] = {}


class Product(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store tells of itself in the storage-backend document."""

    provider: str
    store_product: str
    region: str | None = None
    availability_zone: str | None = None


class ObjectStore(Protocol):
    """Hands out URLs for bytes, and reads, copies and deletes them.

    Every method may be called by many threads at once. Keys are of `A-Z a-z 0-9 . _ = ~ - /`,
    without empty, `.` or `..` segments, at most 1024 bytes and 255 in a segment. All raise
    `StoreError` when the store fails, `MissingError` where bytes are not there, `FullError` where
    there is no room, and never a foreign error.
    """

    def describe(self) -> Product:
        """Return what the store is; no round trip."""

    def upload(self, key: str, content_type: str, *, presigned: bool) -> Upload:
        """Return how a client uploads to a key that is new; no round trip."""

    def download(self, places: Sequence[Place], *, presigned: bool) -> list[str]:
        """Return for each place the URL at which clients read it.

        One that begins with `/` is below the gateway's own base URL. No round trip: a listing
        asks for 1000 at once, and of places where nothing is.
        """

    def stat(self, place: Place) -> Stat:
        """Return what is known of the bytes."""

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        """Return the bytes from offset `first` to `last` inclusive (None: to the end) in chunks.

        Raises `MissingError` at the call, not at the first chunk. The caller closes the chunks.
        An offset behind the end yields nothing.
        """

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        """Store the bytes durably under a key, all or nothing; return size, SHA-256, version.

        An exception from `chunks` passes through and leaves nothing behind.
        """

    def delete(self, places: Sequence[Place]) -> Mapping[Place, str]:
        """Delete the bytes; return those that could not be deleted, with the reason.

        Bytes that are not there count as deleted. A place without version means every version.
        """

    def check(self) -> Health:
        """Make one round trip and say what was found; does not raise."""

    def close(self) -> None:
        """Release what is held; no call follows."""
