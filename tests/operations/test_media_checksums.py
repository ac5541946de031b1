"""Uploads are checked against the length and the checksums that came in the header."""

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Mapping

import pytest

from tams_gateway.domain.errors import Invalid, TooLarge
from tams_gateway.operations.media_checksums import verified

DATA = b"twenty bytes of data"


def base64(algorithm: str, data: bytes = DATA) -> str:
    return b64encode(hashlib.new(algorithm, data).digest()).decode()


def upload(headers: Mapping[str, str], length: int | None = None, limit: int = 20) -> bytes:
    return b"".join(verified([DATA[:5], b"", DATA[5:]], headers, length, limit))


@pytest.mark.parametrize(
    ("header", "text", "algorithm"),
    [
        ("Content-MD5", "{}", "md5"),
        ("x-amz-checksum-sha256", "{}", "sha256"),
        ("x-amz-checksum-sha1", "{}", "sha1"),
        ("Digest", "SHA-256={}", "sha256"),
        ("Digest", "unixsum=30637, sha-256={}", "sha256"),
        ("Digest", "sha-512={}", "sha512"),
        ("Content-Digest", "sha-256=:{}:", "sha256"),
        ("Content-Digest", "unknown=:AA==:, md5=:{}:", "md5"),
        ("Repr-Digest", "sha-512=:{}:", "sha512"),
    ],
)
def test_a_checksum_must_hold_and_is_named_where_it_does_not(
    header: str, text: str, algorithm: str
) -> None:
    right, wrong = base64(algorithm), base64(algorithm, b"other")

    assert upload({header.lower(): text.format(right)}) == DATA
    with pytest.raises(Invalid, match=f"header {header}: the checksum"):
        upload({header.lower(): text.format(wrong)})


def test_a_crc_must_hold() -> None:
    """S3 clients send it without being asked."""
    header = "x-amz-checksum-crc32"
    right = b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()

    assert upload({header: right}) == DATA
    with pytest.raises(Invalid, match=f"header {header}: the checksum"):
        upload({header: "AAAAAA=="})


@pytest.mark.parametrize("header", ["x-amz-checksum-crc32c", "x-amz-checksum-crc64nvme"])
def test_a_checksum_that_cannot_be_verified_is_refused(header: str) -> None:
    with pytest.raises(Invalid, match=f"header {header}: cannot be verified"):
        upload({header: "AAAAAA=="})


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Content-MD5", "not base64"),
        ("Content-MD5", ""),
        ("Content-MD5", "AAAA"),
        ("x-amz-checksum-sha256", hashlib.sha256(DATA).hexdigest()),
        ("Digest", "sha-256="),
        ("Content-Digest", "sha-256=:####:"),
    ],
)
def test_a_malformed_checksum_is_refused_before_the_body(header: str, text: str) -> None:
    with pytest.raises(Invalid, match=f"header {header}: .* is no "):
        verified([], {header.lower(): text}, None, 20)


def test_algorithms_that_nobody_here_knows_are_ignored() -> None:
    headers = {"digest": "crc32c=AAAAAA==", "content-digest": "sha=:AAAA:", "repr-digest": ""}

    assert upload(headers) == DATA


def test_all_checksums_must_hold() -> None:
    headers = {"content-md5": base64("md5"), "x-amz-checksum-sha256": base64("sha256", b"other")}
    with pytest.raises(Invalid, match="x-amz-checksum-sha256"):
        upload(headers)


def test_an_announced_length_above_the_limit_is_refused_at_once() -> None:
    with pytest.raises(TooLarge, match="larger than 19 bytes"):
        verified([], {}, 20, 19)


def test_a_body_is_cut_off_at_the_limit() -> None:
    taken: list[bytes] = []
    with pytest.raises(TooLarge):
        taken.extend(verified(iter([DATA] * 1000), {}, None, 45))

    assert taken == [DATA, DATA]


def test_a_body_that_broke_off_is_refused() -> None:
    """A server may end the stream of a client that is gone like any other."""
    with pytest.raises(Invalid, match="Content-Length: 21 bytes were announced, 20 came"):
        upload({}, length=21, limit=100)
    assert upload({}, length=20) == DATA
