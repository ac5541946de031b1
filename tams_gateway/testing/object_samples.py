"""Keys and bytes for the clauses of the object contract."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from tams_gateway.storage.objects import ObjectStore, Place

TYPE: Final = "video/mp2t"
KEY: Final = "2026/11/25/clip.ts"
LONGER: Final = bytes(range(256)) * 2500 + b"end"
"""More than one chunk of any store that reads sensibly."""


def read(store: ObjectStore, place: Place, first: int = 0, last: int | None = None) -> bytes:
    """Return the bytes at a place as one."""
    with closing(store.read(place, first, last)) as chunks:
        return b"".join(chunks)


def failing(error: Exception) -> Iterator[bytes]:
    """Yield some bytes, then raise."""
    yield LONGER
    raise error
