"""Backups of a server at work, and restores into one: two workers, other processes, kills."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.backup.conftest import HEADERS, shown
from tests.servers.process import serving

_ENVIRONMENT = {name: one for name, one in os.environ.items() if "TAMS_GATEWAY" not in name}


class Server:
    """A server of the embedded default in a folder, and commands beside it."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        folder.mkdir()
        self.folder = folder
        serve = closing.enter_context(serving(folder, "--workers", "2"))
        self.client = Client(Http(f"http://127.0.0.1:{serve.port}"))
        closing.callback(self.client.close)
        self.ingest = Ingest(self.client)

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tams_gateway", *command],
            cwd=self.folder,
            env=_ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> str:
        process = self.start(*command)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
        return output

    def files(self) -> list[Path]:
        # Unlike `rglob`, a walk passes over directories that are deleted meanwhile.
        walk = os.walk(self.folder / "data" / "objects")
        found = (Path(folder, name) for folder, _, names in walk for name in names)
        return [one for one in found if "@uploads" not in one.parts]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    with ExitStack() as closing:
        yield Server(tmp_path / "one", closing), Server(tmp_path / "two", closing)


class Mover:
    """Uploads, registers and deletes without a pause, and remembers what it was told."""

    def __init__(self, client: Client, flow_id: str) -> None:
        self.client = client
        self.flow_id = flow_id
        self.kept: dict[str, str] = {}
        self._ended = threading.Event()

    def work(self) -> None:
        ingest = Ingest(self.client)
        number = 0
        while not self._ended.is_set():
            (made,) = ingest.allocate(self.flow_id)
            url = made["put_url"]["url"]
            for content in (b"draft", f"{self.flow_id} {number} ".encode() * 3000):
                assert self.client.put(url, body=content, headers=HEADERS).status == 200
            ingest.register(self.flow_id, made["object_id"], seconds(number, number + 1))
            self.kept[made["object_id"]] = hashlib.sha256(content).hexdigest()
            if number >= 5:
                old = seconds(number - 5, number - 4)
                path = f"/flows/{self.flow_id}/segments"
                assert self.client.delete(path, query={"timerange": old}).status == 204
            number += 1

    def end(self) -> None:
        self._ended.set()


@pytest.mark.timeout(180)
def test_a_backup_under_writers_and_deleters_is_whole(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    one, two = servers
    movers = [Mover(one.client, one.ingest.flow()) for _ in range(4)]
    still = one.ingest.flow()
    settled = [one.ingest.add(still, seconds(at, at + 1)) for at in range(3)]
    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(mover.work) for mover in movers]
        assert eventually(lambda: all(len(mover.kept) > 6 for mover in movers), 30)
        outputs = [one.run("backup", str(tmp_path / "backup")) for _ in range(3)]
        for mover in movers:
            mover.end()
        for done in working:
            done.result()
    assert all("segments and" in output for output in outputs)
    after = {object_id: sha for mover in movers for object_id, sha in mover.kept.items()}

    assert "0 faults" in one.run("verify", str(tmp_path / "backup"))
    two.run("restore", str(tmp_path / "backup"))

    seen = shown(two.client)
    assert settled == [item["object_id"] for item in seen[f"/flows/{still}/segments"]]
    restored = 0
    for mover in movers:
        segments = seen[f"/flows/{mover.flow_id}/segments"]
        assert 5 <= len(segments) <= 6
        for item in segments:
            assert [after[item["object_id"]]] == item["bytes"]
            restored += 1
    assert restored >= 20
    assert "0 faults" in two.run("verify")
    # Whatever a hold kept from being deleted goes afterwards.
    for mover in movers:
        assert one.client.delete(f"/flows/{mover.flow_id}").status == 204
    assert eventually(lambda: not one.files(), 20)


@pytest.mark.timeout(180)
def test_a_kill_in_the_middle_leaves_what_was_and_the_next_attempt_goes_on(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    one, two = servers
    target = tmp_path / "backup"
    flow_id = one.ingest.flow()
    for at in range(30):
        _upload(one, flow_id, f"{at}".encode() * 50_000, at)
    first = shown(one.client)
    _kill_when(one.start("backup", str(target)), lambda: len(_copied(target)) > 3)
    assert not (target / "manifest.json").exists()
    one.run("backup", str(target))
    _upload(one, flow_id, b"more", 40)
    for at in range(50, 70):
        _upload(one, flow_id, f"{at}".encode() * 50_000, at)
    _kill_when(one.start("backup", str(target)), lambda: len(_copied(target)) > 33)
    assert "0 faults" in one.run("verify", str(target))

    other = two.ingest.flow()
    _upload(two, other, b"other", 0)
    before = shown(two.client)
    _kill_when(two.start("restore", "--replace", str(target)), lambda: len(two.files()) > 5)
    assert before == shown(two.client)
    two.run("restore", "--replace", str(target))
    assert first == shown(two.client)
    assert eventually(lambda: len(two.files()) == 30, 20)


def _upload(server: Server, flow_id: str, content: bytes, at: int) -> None:
    (made,) = server.ingest.allocate(flow_id)
    url = made["put_url"]["url"]
    assert server.client.put(url, body=content, headers=HEADERS).status == 200
    server.ingest.register(flow_id, made["object_id"], seconds(at, at + 1))


def _copied(target: Path) -> list[Path]:
    return [one for one in target.glob("objects/*/*") if one.is_file()]


def _kill_when(process: subprocess.Popen[str], ready: Any) -> None:
    assert eventually(lambda: ready() or process.poll() is not None, 30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


MEASURED = """
import resource, sys
from click.testing import CliRunner
from tams_gateway.cli.main import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = CliRunner().invoke(main, sys.argv[1:])
print(done.output, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(done.exit_code)
"""


@pytest.mark.timeout(180)
def test_twenty_thousand_segments_go_there_and_back_in_little_memory(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    one, two = servers
    flow_id = one.ingest.flow()
    for first in range(0, 20_000, 4000):
        one.ingest.add_many(
            flow_id, [segment(seconds(at, at + 1)) for at in range(first, first + 4000)]
        )
    for server, command in ((one, "backup"), (two, "restore")):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, command, str(tmp_path / "backup")],
            cwd=server.folder,
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        before, after = map(int, done.stdout.split()[-2:])
        assert after - before < 64 * 1024, f"{command}: {after - before} KiB more"
    manifest = json.loads((tmp_path / "backup" / "manifest.json").read_text())
    assert 20_000 == manifest["segments"]
    paths = f"/flows/{flow_id}/segments"
    assert one.client.listed(paths, query="limit=1000") == two.client.listed(
        paths, query="limit=1000"
    )
