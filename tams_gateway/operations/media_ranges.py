"""Which bytes of a representation a request asks for (RFC 9110: Range, If-Range, conditions)."""

import re
from collections.abc import Mapping

import msgspec

from tams_gateway.domain.errors import RangeNotSatisfiable

_single = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII | re.IGNORECASE).fullmatch
_LONGEST = 18
"""Digits of an offset that matters; a longer one is behind every end."""


class Slice(msgspec.Struct, frozen=True):
    """The bytes from `first` to `last`, both inclusive."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.last - self.first + 1


def wanted(headers: Mapping[str, str], etag: str, size: int) -> Slice | None:
    """Return the slice that the request asks for; None for all of the `size` bytes.

    Several ranges at once, other units and malformed ones get everything, as the standard
    allows. So does a range under an `If-Range` that names another version, or a date.
    Raises `RangeNotSatisfiable` if not one byte of a single range exists.
    """
    found = _single(headers.get("range", "").replace(" ", ""))
    if found is None or headers.get("if-range", etag) != etag:
        return None
    start, end = found.groups()
    if not start and not end:
        return None
    if start and end and _offset(end) < _offset(start):
        return None
    first = _offset(start) if start else max(size - _offset(end), 0)
    last = min(_offset(end), size - 1) if start and end else size - 1
    if first > last:
        raise RangeNotSatisfiable(
            f"header Range: no such byte; expected an offset below {size}",
            {"Content-Range": f"bytes */{size}"},
        )
    return Slice(first, last)


def is_known(headers: Mapping[str, str], etag: str) -> bool:
    """Whether `If-None-Match` says that the client has this version already."""
    known = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]


def _offset(digits: str) -> int:
    return int(digits) if len(digits) <= _LONGEST else 10**_LONGEST
