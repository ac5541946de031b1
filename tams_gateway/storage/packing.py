"""The fields of a record as bytes, for stores that keep them whole beside what they search."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tams_gateway.storage.records import Value

_decode: Final = msgspec.json.Decoder(dict[str, int | bool | str | list[str]]).decode


def pack_fields(fields: Mapping[str, Value]) -> bytes:
    """Return fields as JSON, sets as arrays."""
    plain = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in fields.items()
    }
    try:
        return msgspec.json.encode(plain)
    except UnicodeEncodeError:  # A lone surrogate, which only the slower one can write.
        return json.dumps(plain).encode()


def unpack_fields(packed: bytes) -> dict[str, Value]:
    """Return the fields that `pack_fields` got."""
    try:
        plain = _decode(packed)
    except msgspec.DecodeError:  # A lone surrogate again.
        plain = json.loads(packed)
    return {
        name: frozenset(value) if isinstance(value, list) else value
        for name, value in plain.items()
    }


class Fields(Mapping[str, Value]):
    """The fields of a record, unpacked when somebody looks: a page of objects needs none."""

    __slots__ = ("_packed", "_unpacked")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._unpacked: dict[str, Value] | None = None

    def __getitem__(self, name: str) -> Value:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def _all(self) -> dict[str, Value]:
        if self._unpacked is None:
            self._unpacked = unpack_fields(self._packed)
        return self._unpacked
