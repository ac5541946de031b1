"""Uploads under scrutiny: their length, and the checksums that the client sent in its header."""

import hashlib
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Protocol

import msgspec

from tams_gateway.domain.errors import Invalid, TooLarge


class _Sum(Protocol):
    @property
    def digest_size(self) -> int: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


class _Crc32:
    """CRC-32 in the manner of `hashlib`; S3 clients send it without being asked."""

    digest_size = 4

    def __init__(self) -> None:
        self._sum = 0

    def update(self, data: bytes, /) -> None:
        self._sum = zlib.crc32(data, self._sum)

    def digest(self) -> bytes:
        return self._sum.to_bytes(4, "big")


_HASHES: Final[Mapping[str, Callable[[], _Sum]]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "crc32": _Crc32,
}
_WHOLE: Final = {
    "Content-MD5": "md5",
    "x-amz-checksum-sha256": "sha-256",
    "x-amz-checksum-sha1": "sha1",
    "x-amz-checksum-crc32": "crc32",
}
"""Headers that are the Base64 text of one checksum."""

_UNKNOWN: Final = ("x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme")
"""Checksums that we cannot verify: better refused than taken unseen."""

_LISTS: Final = ("Digest", "Content-Digest", "Repr-Digest")
"""Headers that list checksums by algorithm (RFC 3230; RFC 9530, which puts colons round them);
unknown algorithms are ignored."""


class _Check(msgspec.Struct):
    header: str
    hash: _Sum
    expected: bytes


def verified(
    chunks: Iterable[bytes], headers: Mapping[str, str], length: int | None, limit: int
) -> Iterator[bytes]:
    """Return the chunks under checks, so that a store which takes them all has them intact.

    `length` is the announced one in bytes, None if none was.
    Raises at once `TooLarge` for an announced length above the limit and `Invalid` for a
    malformed checksum; and with a chunk `TooLarge` at the limit, or `Invalid`, naming the header,
    at the end of a body that is shorter than announced or has another checksum.
    """
    if length is not None and length > limit:
        raise _too_large(limit)
    return _checked(chunks, list(_checks(headers)), length, limit)


def _checked(
    chunks: Iterable[bytes], checks: list[_Check], length: int | None, limit: int
) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        for check in checks:
            check.hash.update(chunk)
        yield chunk
    if length is not None and size != length:
        raise Invalid(f"header Content-Length: {length} bytes were announced, {size} came")
    for check in checks:
        if check.hash.digest() != check.expected:
            raise Invalid(f"header {check.header}: the checksum of the body is another one")


def _checks(headers: Mapping[str, str]) -> Iterator[_Check]:
    for header, algorithm in _WHOLE.items():
        sent = headers.get(header.lower())
        if sent is not None:
            yield _check(header, algorithm, sent)
    for header in _UNKNOWN:
        if header in headers:
            raise Invalid(f"header {header}: cannot be verified; send one of {', '.join(_WHOLE)}")
    for header in _LISTS:
        for item in headers.get(header.lower(), "").split(","):
            name, _, sent = item.partition("=")
            algorithm = name.strip().lower()
            if algorithm in _HASHES:
                yield _check(header, algorithm, sent.strip().strip(":"))


def _check(header: str, algorithm: str, sent: str) -> _Check:
    made = _HASHES[algorithm]()
    try:
        expected = b64decode(sent.strip(), validate=True)
    except ValueError:
        expected = b""
    if len(expected) != made.digest_size:
        raise Invalid(f"header {header}: {sent!r} is no {algorithm} checksum in Base64")
    return _Check(header, made, expected)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the upload is larger than {limit} bytes, the limit of this service")
