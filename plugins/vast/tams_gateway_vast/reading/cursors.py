"""Cursors of the outbox: how many events of each shard a reader has met.

The events of a shard are numbered from 1 without a gap, so these counts say exactly what is new.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import msgspec

from tams_gateway.storage.errors import StoreError

Numbers: TypeAlias = Mapping[int, int]
"""Numbers of events by shard; a shard that is missing stands for 0."""

_BITS: Final = 40
"""So many bits of a position are the number of the event, those before them its shard."""

_MARK: Final = "v"
_LONGEST: Final = 40_000
"""More letters than the cursor of any store has."""

_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**_BITS)]
_decode: Final = msgspec.msgpack.Decoder(list[_Count]).decode


def position(shard: int, number: int) -> int:
    """Return where an event of a shard stands among all, by its number."""
    return (shard << _BITS) | number


def place(at: int) -> tuple[int, int]:
    """Return the shard and the number that `position` got."""
    return at >> _BITS, at & (2**_BITS - 1)


def cursor(numbers: Numbers) -> str:
    """Return the one text that stands for these numbers."""
    count = max((shard + 1 for shard, number in numbers.items() if number), default=0)
    packed = msgspec.msgpack.encode([numbers.get(shard, 0) for shard in range(count)])
    return _MARK + urlsafe_b64encode(packed).rstrip(b"=").decode()


def numbers(text: str) -> dict[int, int]:
    """Return the numbers of a cursor, whoever wrote it. Raises `StoreError`."""
    try:
        if not text.startswith(_MARK) or len(text) > _LONGEST:
            raise ValueError("not of the form of ours")
        padding = "=" * (-len(text[1:]) % 4)
        counts = _decode(urlsafe_b64decode((text[1:] + padding).encode("ascii")))
        found = {shard: number for shard, number in enumerate(counts) if number}
        if cursor(found) != text:
            raise ValueError("not as we write it")
    except ValueError as error:
        raise StoreError(
            f"{text[:40]!r} is no cursor of this outbox ({error}); begin without one"
        ) from error
    return found


def later(one: Numbers, other: Numbers) -> dict[int, int]:
    """Return how far two readers have come together: the larger number for each shard."""
    return {shard: max(one.get(shard, 0), other.get(shard, 0)) for shard in {**one, **other}}
