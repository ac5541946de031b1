"""The wall clock set back by hours, under running servers and between two starts.

The servers read the time through `time.time_ns` and `time.time`; here these add what a file says.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from tams_gateway_filesystem.store import FilesystemObjects

from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Place
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import KEYS
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.waiting import eventually
from tests.faults.conftest import Start
from tests.servers.sink import added, with_a_sink

HOUR = 3600
HEADERS = {"content-type": "video/mp2t"}

SHIFTED = """
import time
from pathlib import Path

_real = time.time_ns
_shift = Path({file!r})
time.time_ns = lambda: _real() + 10**9 * int(_shift.read_text())
time.time = lambda: time.time_ns() / 1e9
"""


class Wall:
    """The wall clock of servers, ahead or behind by a number of seconds."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "shift"
        self._module = folder / "sitecustomize.py"
        self._module.write_text(SHIFTED.format(file=str(self._file)))
        self.shift(0)

    def shift(self, seconds: int) -> None:
        """Let it be ahead of the true time by so many seconds, from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self._file)

    def environment(self, others: Mapping[str, str] = {}) -> dict[str, str]:
        """Return the environment of a server with this clock."""
        paths = [str(self._module.parent), *filter(None, [others.get("PYTHONPATH")])]
        return {**others, "PYTHONPATH": ":".join(paths)}


@pytest.fixture
def wall(tmp_path: Path) -> Wall:
    return Wall(tmp_path)


def is_done(client: Client, path: str) -> bool:
    return bool(client.get(path).json["status"] == "done")


@pytest.mark.timeout(60)
def test_a_clock_that_was_set_back_between_two_starts_holds_up_nothing(
    start: Start, wall: Wall
) -> None:
    """R-DEL-03, R-SEG-34, R-STO-12: not the lease, not the deletion, not the next upload."""
    server, client = start(wall.environment())
    ingest = Ingest(client)
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id)[0]
    url = media_object["put_url"]["url"].removeprefix(client.base)
    assert client.put(url, body=b"first", headers=HEADERS).status == 200
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(3000)])
    before = ingest.document(flow_id, {"include_timerange": "true"})
    answer = client.delete(f"/flows/{flow_id}/segments")
    assert answer.status == 202
    path = answer.headers["location"].removeprefix(client.base)
    server.kill()
    wall.shift(-3 * HOUR)

    _, client = start(wall.environment())
    ingest = Ingest(client)
    ingest.add(flow_id, seconds(5000, 5001))  # After the deletion, by an earlier clock.
    assert client.put(url, body=b"second", headers=HEADERS).status == 200
    ingest.register(flow_id, media_object["object_id"], seconds(5001, 5002))

    assert eventually(partial(is_done, client, path), 20)
    assert ingest.timeranges(flow_id) == [seconds(5000, 5001), seconds(5001, 5002)]
    shown = ingest.segments(flow_id, {"presigned": "true"})[1]
    assert client.get(shown["get_urls"][0]["url"]).body == b"second"
    after = ingest.document(flow_id)
    assert after["segments_updated"] >= before["segments_updated"]
    # The flow goes, and another of its id comes, as often as one likes.
    for _ in range(3):
        assert client.delete(f"/flows/{flow_id}").status == 204
        ingest.flow(flow_id)
        ingest.add(flow_id, seconds(0, 1))
        assert ingest.timeranges(flow_id) == [seconds(0, 1)]


@pytest.mark.timeout(60)
def test_a_clock_that_is_set_back_under_running_servers_harms_nobody(
    start: Start, wall: Wall, tmp_path: Path
) -> None:
    """R-PAGE-08, R-URL-10, R-EVT-05: pages, URLs and events go on where they were."""
    in_background = {"TAMS_GATEWAY__LIMITS__ASYNC_DELETION_THRESHOLD": "0"}
    _, client = start(wall.environment({**with_a_sink(tmp_path), **in_background}))
    ingest = Ingest(client)
    flow_id = ingest.flow()
    media_object = ingest.allocate(flow_id)[0]
    url = media_object["put_url"]["url"].removeprefix(client.base)
    told = [ingest.add(flow_id, seconds(at, at + 1)) for at in range(10)]
    pages = client.pages(f"/flows/{flow_id}/segments", query={"limit": "4"})
    listed = next(pages).json

    wall.shift(-3 * HOUR)

    for page in pages:
        listed += page.json
    assert told == [one["object_id"] for one in listed]
    assert client.put(url, body=b"media", headers=HEADERS).status == 200
    told += [ingest.add(flow_id, seconds(at, at + 1)) for at in range(10, 20)]
    answer = client.delete(f"/flows/{flow_id}/segments", query={"timerange": seconds(0, 5)})
    assert answer.status == 202
    path = answer.headers["location"].removeprefix(client.base)
    assert eventually(partial(is_done, client, path), 15)
    assert len(ingest.segments(flow_id)) == 15
    assert eventually(lambda: len(added(tmp_path)) == 20)
    assert told == [one["object_id"] for body in added(tmp_path) for one in body["segments"]]
    assert client.put(f"/flows/{flow_id}/label", json="new").status == 204
    assert ingest.document(flow_id)["label"] == "new"


def test_the_latest_version_of_an_object_is_the_one_that_came_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_700_000_000 * 10**9]
    monkeypatch.setattr("time.time_ns", lambda: now[0])
    urls = MediaUrls("main", KEYS, HOUR, lambda: now[0] / 1e9)
    store = FilesystemObjects(tmp_path, urls, durable=False, now=lambda: now[0] / 1e9)
    versions = []
    for content in (b"first", b"second", b"third"):
        versions.append(store.write("a.ts", "video/mp2t", [content]).version)
        now[0] -= 3 * HOUR * 10**9

    assert b"third" == b"".join(store.read(Place("a.ts")))
    assert versions == sorted(versions)
    assert b"first" == b"".join(store.read(Place("a.ts", versions[0])))
