"""Uploads under scrutiny: their length, and the checksums that the client sent in its header."""

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from tams_gateway.domain.errors import Invalid, TooLarge

_HASHES: Final[Mapping[str, Callable[[], "hashlib._Hash"]]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
    "md5": lambda: hashlib.md5(usedforsecurity=False),
}
_WHOLE: Final = {"Content-MD5": "md5", "x-amz-checksum-sha256": "sha-256"}
"""Headers that are the Base64 text of one checksum."""

_LISTS: Final = ("Digest", "Content-Digest", "Repr-Digest")
"""Headers that list checksums by algorithm (RFC 3230; RFC 9530, which puts colons round them);
unknown algorithms are ignored."""


class _Check(msgspec.Struct):
    header: str
    hash: "hashlib._Hash"
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
