"""`kill -9` at any moment: nothing acknowledged is lost, nothing is half there."""

import hashlib
import os
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tams_gateway.settings import load
from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import flow as sample_flow
from tams_gateway.testing.waiting import eventually
from tests.deployments import in_process
from tests.faults.conftest import Start
from tests.faults.writers import Kept, Writer
from tests.servers.sink import added, with_a_sink

ROUNDS = 10
WRITERS = 8


@pytest.mark.timeout(240)
def test_what_was_acknowledged_survives_ten_kills_during_an_ingest(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-SEG-15, R-STO-12, R-EVT-05: eight writers, two workers, all killed at once."""
    seed = random.randrange(2**32)
    moments = random.Random(seed)
    shared = [sample_flow() for _ in range(WRITERS // 2)]
    environment = with_a_sink(tmp_path)
    server, client = start(environment)
    for document in shared:
        assert client.put(f"/flows/{document['id']}", json=document).status == 201
    writers = [Writer(shared[number // 2], number) for number in range(WRITERS)]

    for _ in range(ROUNDS):
        started = threading.Event()
        with ThreadPoolExecutor(WRITERS) as pool:
            working = [pool.submit(writer.work, client, started) for writer in writers]
            assert started.wait(20)
            threading.Event().wait(moments.uniform(0, 0.8))
            server.kill()
            for one in working:
                one.result()
        server, client = start(environment)
        _check_kept(client, writers, seed)
    contents = _check_contents(client, writers)
    kept = {one.object_id for writer in writers for one in writer.kept}
    assert eventually(lambda: kept <= _told(tmp_path), 20), f"seed {seed}: an event is lost"
    server.kill()

    monkeypatch.chdir(tmp_path)
    files = Path("data/objects")
    _let_pass(files, seconds=3600)
    with in_process("wsgi", load(None, {}), []) as deployment:
        deployment.clock.advance(100_000)
        collected = eventually(lambda: _digests(files).keys() == contents.keys(), 20)
        assert collected, f"seed {seed}: {_digests(files) - contents} belongs to nothing"
        for document in shared:
            assert deployment.client.delete(f"/flows/{document['id']}").status in (202, 204)
        assert eventually(lambda: not _digests(files), 20), f"seed {seed}"


def _told(folder: Path) -> set[str]:
    return {one["object_id"] for body in added(folder) for one in body["segments"]}


def _let_pass(folder: Path, seconds: float) -> None:
    """Make the files as old as if the crash were long ago: uploads under way are spared."""
    for parent, _, names in os.walk(folder):
        for name in names:
            status = Path(parent, name).stat()
            os.utime(Path(parent, name), (status.st_atime, status.st_mtime - seconds))


def _check_kept(client: Client, writers: list[Writer], seed: int) -> None:
    """Everything that got 201 is there, whole, and no two segments overlap."""
    kept: dict[str, set[Kept]] = {}
    for writer in writers:
        kept.setdefault(writer.shared["id"], set()).update(writer.kept)
        for document in writer.flows:
            shown = client.get(f"/flows/{document['id']}")
            assert shown.status == 200, f"seed {seed}"
            assert document.items() <= shown.json.items()
            assert client.get(f"/sources/{document['source_id']}").status == 200
    for flow_id, wanted in kept.items():
        segments = client.listed(f"/flows/{flow_id}/segments", query="limit=1000")
        there = {(one["timerange"], one["object_id"]) for one in segments}
        assert {(one.timerange, one.object_id) for one in wanted} <= there, f"seed {seed}"
        assert len({one["timerange"] for one in segments}) == len(segments), f"seed {seed}"


def _check_contents(client: Client, writers: list[Writer]) -> Counter[str]:
    """Read all that is registered; return how often each content is to be stored."""
    kept = {one.object_id: one.sha256 for writer in writers for one in writer.kept}
    contents: Counter[str] = Counter()
    for flow_id in {writer.shared["id"] for writer in writers}:
        for one in client.listed(f"/flows/{flow_id}/segments", query="limit=1000"):
            media = client.get(one["get_urls"][0]["url"])
            assert media.status == 200
            digest = hashlib.sha256(media.body).hexdigest()
            assert digest == kept.get(one["object_id"], digest)
            contents[digest] += 1
    assert contents.total() >= len(kept) > ROUNDS
    return contents


def _digests(folder: Path) -> Counter[str]:
    """Count the files by their content, while some of them are being deleted."""
    found: Counter[str] = Counter()
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found[hashlib.sha256(Path(parent, name).read_bytes()).hexdigest()] += 1
    return found
