"""Reads a flatbuffer: the readers that the SDK brings take several times as long."""

import struct
from typing import Final

_SIGNED: Final = struct.Struct("<i").unpack_from
_UNSIGNED: Final = struct.Struct("<I").unpack_from
_SHORT: Final = struct.Struct("<H").unpack_from


class Flatbuffer:
    """The tables in some bytes, each known by where it begins.

    Members are numbered as in the schema of the table; one that is absent is read as 0.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root = self.referred(0)
        self._vtables: dict[int, tuple[int, ...]] = {}

    def referred(self, at: int) -> int:
        """Return where that begins which is referred to here."""
        return at + _UNSIGNED(self.data, at)[0]

    def member(self, table: int, number: int) -> int:
        """Return where a member of a table stands; 0 if it is absent."""
        at = table - _SIGNED(self.data, table)[0]
        members = self._vtables.get(at)
        if members is None:
            count = _SHORT(self.data, at)[0] // 2
            members = self._vtables[at] = struct.unpack_from(f"<{count}H", self.data, at)[2:]
        offset = members[number] if number < len(members) else 0
        return table + offset if offset else 0

    def table(self, table: int, number: int) -> int:
        """Return where the table, text or vector begins that a member refers to.

        Raises `ValueError` if it is absent.
        """
        at = self.member(table, number)
        if not at:
            raise ValueError("a table is missing in a flatbuffer")
        return at + _UNSIGNED(self.data, at)[0]

    def byte(self, table: int, number: int) -> int:
        """Return a member of one byte, as the kinds of others are."""
        at = self.member(table, number)
        return self.data[at] if at else 0

    def unsigned(self, table: int, number: int) -> int:
        """Return a member of four bytes."""
        at = self.member(table, number)
        return _UNSIGNED(self.data, at)[0] if at else 0

    def tables(self, table: int, number: int) -> list[int]:
        """Return where the tables of a vector begin."""
        vector = self.table(table, number)
        (count,) = _UNSIGNED(self.data, vector)
        offsets = struct.unpack_from(f"<{count}I", self.data, vector + 4)
        return [vector + 4 + 4 * i + offset for i, offset in enumerate(offsets)]

    def content(self, table: int, number: int) -> bytes:
        """Return the bytes of a text or of a vector of bytes."""
        start = self.table(table, number)
        (length,) = _UNSIGNED(self.data, start)
        return bytes(self.data[start + 4 : start + 4 + length])
