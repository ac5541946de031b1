"""What the store asks of a server is S3, and not what one server happens to take."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from tams_gateway_s3.store import S3Objects

from plugins.s3.tests.conftest import LIFETIME, settings
from plugins.s3.tests.test_http import send
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import Place
from tests.servers.rclone import rclone

LARGE = bytes(range(256)) * 36_000
"""More than one request writes."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Objects]:
    with (
        rclone(tmp_path_factory.mktemp("rclone")) as endpoint,
        closing(S3Objects(settings(endpoint), LIFETIME, time.time)) as store,
    ):
        yield store


def read(store: S3Objects, key: str, first: int = 0, last: int | None = None) -> bytes:
    with closing(store.read(Place(key), first, last)) as chunks:
        return b"".join(chunks)


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["none", "small", "large"])
def test_bytes_come_back_whole_and_in_part(store: S3Objects, content: bytes) -> None:
    stat = store.write("2026/11/a b~c.ts", "video/mp2t", [content])

    assert (stat.size, stat.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert store.stat(Place("2026/11/a b~c.ts")).size == len(content)
    assert read(store, "2026/11/a b~c.ts") == content
    assert read(store, "2026/11/a b~c.ts", 2, 3) == content[2:4]


def test_signed_urls_take_and_give_bytes(store: S3Objects) -> None:
    put = store.upload("signed/a.ts", "video/mp2t", presigned=True).url
    [get] = store.download([Place("signed/a.ts")], presigned=True)

    assert send("PUT", put, b"bytes", {"Content-Type": "video/mp2t"})[0] == 200
    assert send("GET", get)[2] == b"bytes"
    assert send("GET", get.partition("?")[0])[0] in (400, 403)


def test_copies_and_deletions_are_the_server_s_work(store: S3Objects) -> None:
    store.write("from.ts", "video/mp2t", [LARGE])
    copy = store.copy("to.ts", "video/mp2t", store, Place("from.ts"))
    assert copy is not None

    assert store.delete([Place("from.ts"), Place("none.ts")]) == {}

    with pytest.raises(MissingError):
        store.stat(Place("from.ts"))
    assert read(store, "to.ts") == LARGE


def test_the_examination_finds_what_this_server_does_otherwise(store: S3Objects) -> None:
    [found] = [one.detail for one in store.examine() if not one.ok]
    assert found.endswith("a range is answered with 200, not with 206")
