"""A disk without room: writes are refused in words, reads go on, and nothing needs a restart."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import Document
from tams_gateway.testing.samples import flow as sample_flow
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.faults.disks import MIB, Disk
from tests.servers.process import Serve, serving

HEADERS = {"content-type": "video/mp2t"}
METADATA = "TAMS_GATEWAY__METADATA__PATH"
OBJECTS = "TAMS_GATEWAY__OBJECTS__MAIN__PATH"


@contextmanager
def asked(folder: Path, *options: str, **places: str) -> Iterator[tuple[Serve, Client]]:
    with serving(folder, *options, environment=places) as serve:
        client = Client(Http(f"http://127.0.0.1:{serve.port}"))
        try:
            yield serve, client
        finally:
            client.close()


def refusal(answer: Answer) -> tuple[int, str, str | None]:
    return answer.status, answer.json["type"], answer.headers.get("retry-after")


NO_WRITE = (503, "unavailable", "2")
NO_UPLOAD = (507, "storage_full", "2")


def test_everything_on_one_disk_that_fills_up(disk: Disk) -> None:
    """R-GEN-10: the database, the media and the log; under uvicorn with two workers."""
    with asked(disk.path, "--workers", "2") as (serve, client):
        ingest = Ingest(client)
        flow_id = ingest.flow()
        media_object = ingest.allocate(flow_id)[0]
        url = media_object["put_url"]["url"]
        disk.fill(but=MIB)

        kept = _fill_with_segments(client, flow_id)

        assert kept
        assert kept == _stored(client, flow_id)
        disk.fill()
        # What was refused has left some room in the file that it was to go to.
        while (answer := _put_flow(client)).status == 201:
            continue
        for _ in range(5):  # The log has no room either.
            answer = _put_flow(client)
            assert NO_WRITE == refusal(answer)
            assert answer.headers["x-request-id"] in answer.json["summary"]
            assert NO_UPLOAD == refusal(client.put(url, body=b"media" * 1000, headers=HEADERS))
        assert kept == _stored(client, flow_id)
        assert client.get("/health").status == 200
        unready = eventually(lambda: client.get("/ready").json["checks"]["metadata"] != "ok")
        assert unready
        checked = _check(disk.path)
        assert checked.returncode == 1
        assert 2 == checked.stdout.count("to do: make room on its disk")
        assert [] == _files(disk.path / "data" / "objects")

        disk.free()

        assert client.put(url, body=b"media", headers=HEADERS).status == 200
        ingest.register(flow_id, media_object["object_id"], seconds(10**6, 10**6 + 1))
        assert eventually(lambda: client.get("/ready").status == 200)
        kept.append(seconds(10**6, 10**6 + 1))
        serve.kill()
    with asked(disk.path) as (_, client):
        assert kept == _stored(client, flow_id)


def test_a_full_disk_of_objects_leaves_the_metadata_alone(disk: Disk, tmp_path: Path) -> None:
    """R-STO-12: whether or not the upload says how large it is, nothing of it stays."""
    objects = disk.path / "objects"
    with asked(tmp_path, "--server", "gunicorn", **{OBJECTS: str(objects)}) as (serve, client):
        ingest = Ingest(client)
        flow_id = ingest.flow()
        media = ingest.allocate(flow_id, limit=2)
        targets = [one["put_url"]["url"].removeprefix(client.base) for one in media]
        assert client.put(targets[0], body=b"first", headers=HEADERS).status == 200
        large = os.urandom(MIB) * 12

        announced = client.put(targets[1], body=large, headers=HEADERS)
        chunked = serve.request("PUT", targets[0], iter([large[:MIB]] * 12), HEADERS)

        assert [NO_UPLOAD] * 2 == [refusal(announced), refusal(chunked)]
        assert [b"first"] == [path.read_bytes() for path in _files(objects)]
        disk.fill()
        ingest.register(flow_id, media[0]["object_id"], seconds(0, 1))
        (url,) = ingest.segments(flow_id, {"presigned": "true"})[0]["get_urls"]
        assert client.get(url["url"]).body == b"first"
        checks = client.get("/ready").json["checks"]
        assert checks["metadata"] == "ok"
        assert "No space left" in checks["objects.main"]
        # A deletion needs no room, and makes some.
        assert client.delete(f"/flows/{flow_id}").status == 204
        assert eventually(lambda: not _files(objects))
        disk.free()
        flow_id = ingest.flow()
        target = ingest.allocate(flow_id)[0]["put_url"]["url"]
        assert client.put(target, body=large[: 4 * MIB], headers=HEADERS).status == 200


def test_a_full_disk_of_metadata_leaves_no_bytes_of_refused_uploads(
    disk: Disk, tmp_path: Path
) -> None:
    """What no record names would lie there unseen. A restart makes it neither better nor worse."""
    database = str(disk.path / "tams.db")
    with asked(tmp_path, "--server", "granian", **{METADATA: database}) as (serve, client):
        ingest = Ingest(client)
        flow_id = ingest.flow()
        url = ingest.allocate(flow_id)[0]["put_url"]["url"]
        assert client.put(url, body=b"first", headers=HEADERS).status == 200
        disk.fill()

        assert NO_UPLOAD == refusal(client.put(url, body=b"second" * 10**5, headers=HEADERS))

        files = _files(tmp_path / "data" / "objects")
        assert [b"first"] == [path.read_bytes() for path in files]
        assert client.get(f"/flows/{flow_id}").status == 200
        assert serve.stop() == 0
    with asked(tmp_path, **{METADATA: database}) as (_, client):
        assert client.get(f"/flows/{flow_id}").status == 200
        assert NO_WRITE == refusal(client.put(f"/flows/{flow_id}/label", json="too much"))
        disk.free()
        assert client.put(f"/flows/{flow_id}/label", json="there is room").status == 204


def _fill_with_segments(client: Client, flow_id: str) -> list[str]:
    """Post segments until there is no room for them; return the timeranges of those stored."""
    kept: list[str] = []
    while True:
        first = len(kept)
        batch = [external(seconds(at, at + 1)) for at in range(first, first + 300)]
        answer = client.post(f"/flows/{flow_id}/segments", json=batch)
        if answer.status != 201:
            assert NO_WRITE == refusal(answer)
            return kept
        kept += [one["timerange"] for one in batch]


def _put_flow(client: Client) -> Answer:
    document = sample_flow()
    return client.put(f"/flows/{document['id']}", json=document)


def _stored(client: Client, flow_id: str) -> list[str]:
    found: list[Document] = client.listed(f"/flows/{flow_id}/segments", query="limit=1000")
    return [one["timerange"] for one in found]


def _check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tams_gateway", "check"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
