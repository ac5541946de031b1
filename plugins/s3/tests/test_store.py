"""The store itself, on a real server: large objects, versions, deletions by the thousand."""

import hashlib
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tams_gateway_s3 import parts
from tams_gateway_s3.store import S3Objects

from plugins.s3.tests.conftest import LIFETIME, options, settings
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import Place
from tests.testing.kit import run

MIB = 2**20


def pieces(size: int) -> Iterator[bytes]:
    for start in range(0, size, MIB):
        yield (start // MIB).to_bytes(4) * (min(MIB, size - start) // 4)


def test_large_objects_are_written_in_parts_and_copied_whole(
    endpoint: str, store: S3Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 40 * MIB
    stat = store.write("large.ts", "video/mp2t", pieces(size))
    digest = hashlib.sha256()
    with closing(store.read(Place("large.ts"))) as chunks:
        for chunk in chunks:
            digest.update(chunk)

    assert (stat.size, stat.sha256) == (size, digest.hexdigest())
    monkeypatch.setattr(parts, "COPIED", 16 * MIB)
    other = S3Objects(settings(endpoint), LIFETIME, lambda: 0.0)
    copy = other.copy("copy.ts", "video/mp2t", store, Place("large.ts"))
    assert copy is not None
    assert copy.size == size
    with closing(other.read(Place("copy.ts"), size - 4)) as chunks:
        assert b"".join(chunks) == (39).to_bytes(4)
    other.close()


def test_a_write_that_breaks_off_leaves_no_parts(store: S3Objects) -> None:
    def broken() -> Iterator[bytes]:
        yield from pieces(20 * MIB)
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        store.write("broken.ts", "video/mp2t", broken())

    with pytest.raises(MissingError):
        store.stat(Place("broken.ts"))
    client, bucket = store.connection.client, store.settings.bucket
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_in_a_bucket_with_versions_each_upload_is_read_and_deleted_alone(
    endpoint: str,
) -> None:
    """R-STO-13: the version that was recorded is served, whatever is uploaded later."""
    made = S3Objects(settings(endpoint), LIFETIME, lambda: 0.0)
    made.connection.client.put_bucket_versioning(
        Bucket=made.settings.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    made.close()
    versioned = S3Objects(made.settings, LIFETIME, time.time)
    first, second = (versioned.write("a.ts", "video/mp2t", [one]).version for one in (b"1", b"2"))
    assert first is not None
    assert first != second

    [url] = versioned.download([Place("a.ts", first)], presigned=True)
    assert urllib.request.urlopen(url, timeout=20).read() == b"1"
    assert versioned.delete([Place("a.ts", second)]) == {}
    assert versioned.stat(Place("a.ts")).version == first
    assert versioned.delete([Place("a.ts")]) == {}
    with pytest.raises(MissingError):
        versioned.stat(Place("a.ts", first))
    versioned.close()


def test_more_are_deleted_than_one_request_takes(store: S3Objects) -> None:
    places = [Place(f"{number}.ts") for number in range(0, 2400, 100)]
    for place in places:
        store.write(place.key, "video/mp2t", [b"x"])

    assert store.delete([Place(f"{number}.ts") for number in range(2400)]) == {}

    for place in places:
        with pytest.raises(MissingError):
            store.stat(place)


@pytest.mark.timeout(300)
def test_the_store_keeps_the_contract(endpoint: str, tmp_path: Path) -> None:
    """But for the clause of kills, which the command of the docs runs: each step is slow here."""
    chosen = ["--tams-objects", "s3"]
    given = {**options(endpoint), "bucket": "{unique}", "create_bucket": "true"}
    for name, value in given.items():
        if name != "plugin":
            chosen += ["--tams-option", f"{name}={value}"]

    found = run(tmp_path, *chosen, "-k", "not killed_at_any_step")

    assert found.status == 0, found.text
