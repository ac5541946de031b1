"""`tams-gateway keys`: rings are listed and rotated beside a gateway that signs with them."""

import base64
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tams_gateway.assembly import assemble
from tams_gateway.cli.main import main
from tams_gateway.operations.keys import SIGNS_AFTER, rings
from tams_gateway.operations.kinds import AUTH_LOG
from tams_gateway.settings import load
from tams_gateway.storage.query import Query
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.servers.process import serving


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder in which the ring of the media URLs has its first key."""
    monkeypatch.chdir(tmp_path)
    assembly = assemble(load(None, {}))
    backend = assembly.gateway.default_backend
    backend.store.download([], presigned=True)
    assembly.close()
    return tmp_path


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["keys", *arguments])


def listed() -> list[list[str]]:
    """Return name and id of each key."""
    done = keys("list")
    assert done.exit_code == 0
    return [line.split()[:2] for line in done.output.splitlines()]


def test_a_rotated_ring_lists_its_new_key_first(folder: Path) -> None:
    [[name, first]] = listed()
    assert name == "media"

    done = keys("rotate", "media")

    assert done.exit_code == 0
    [[_, second], [_, third]] = listed()
    assert third == first != second
    assert done.output.startswith(f"media {second} made 20")


def test_no_secret_is_shown(folder: Path) -> None:
    shown = keys("rotate", "media").output + keys("list").output

    assembly = assemble(load(None, {}))
    ring = rings(assembly.gateway.metadata)["media"]
    assembly.close()
    assert len(ring) == 2
    for key in ring:
        assert key.id in shown
        assert key.secret.hex() not in shown
        assert base64.b64encode(key.secret).decode().strip("=") not in shown


def test_a_removed_key_is_gone_and_the_newest_stays(folder: Path) -> None:
    [[_, first]] = listed()
    assert keys("remove", "media", first).exit_code == 1
    keys("rotate", "media")

    assert keys("remove", "media", first).output == f"media {first} removed\n"

    [[_, second]] = listed()
    assert second != first
    for arguments in (("remove", "media", first), ("rotate", "pages"), ("remove", "pages", first)):
        done = keys(*arguments)
        assert done.exit_code == 1
        assert done.output.startswith("Error: no key")


def test_what_was_changed_is_in_the_log_of_logins(folder: Path) -> None:
    [[_, first]] = listed()
    keys("rotate", "media")
    [[_, second], _] = listed()
    keys("remove", "media", first)
    keys("remove", "media", first)

    assembly = assemble(load(None, {}))
    entries = assembly.gateway.metadata.find(Query(AUTH_LOG)).items
    assembly.close()
    found = [msgspec.json.decode(entry.body) for entry in entries]
    assert {one["detail"] for one in found} == {
        f"media: new key {second}",
        f"media: key {first} removed",
    }
    assert {(one["action"], one["who"]) for one in found} == {("keys_changed", "tams-gateway keys")}


def test_a_rotation_fails_no_request_and_a_removal_ends_old_urls(tmp_path: Path) -> None:
    """R-URL-10: two workers sign and verify while another process rotates; nobody is refused."""
    with serving(tmp_path, "--workers", "2") as serve:
        # The log would fill the pipe, and the gateway wait for a reader.
        threading.Thread(target=serve.process.stdout.read, daemon=True).start()
        users = [User(serve.port) for _ in range(3)]
        first = users[0].upload()
        rotated = command(tmp_path, "rotate", "media")
        time_limit = time.monotonic() + SIGNS_AFTER + 3
        threads = [threading.Thread(target=one.go_on, args=(time_limit,)) for one in users]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [status for one in users for status in one.statuses if status != 200] == []
        assert sum(len(one.statuses) for one in users) > 50
        assert used(first) == 200
        newest, oldest = [line.split()[1] for line in command(tmp_path, "list").splitlines()]
        assert newest == rotated.split()[1]

        command(tmp_path, "remove", "media", oldest)

        # Each worker reads its ring anew after a while, and either may answer.
        assert eventually(lambda: {used(first) for _ in range(8)} == {403})
        users[0].upload()
        assert users[0].statuses[-1] == 200
        for one in users:
            one.client.close()


def command(folder: Path, *arguments: str) -> str:
    """Run a command in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tams_gateway", "keys", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def used(url: str, body: bytes | None = None, content_type: str = "") -> int:
    """Read from a URL, or write to it, on a connection of its own; return the status."""
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(url, body, {"Content-Type": content_type}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class User:
    """Gets signed URLs from one worker and uses them at once, on whichever answers."""

    def __init__(self, port: int) -> None:
        self.client = Client(Http(f"http://127.0.0.1:{port}"))
        self.ingest = Ingest(self.client)
        self.flow_id = self.ingest.flow()
        self.statuses: list[int] = []

    def upload(self) -> str:
        """Upload an object by a signed URL, read it by another, and return that."""
        allocated = self.ingest.allocate(self.flow_id)[0]
        put_url, object_id = allocated["put_url"], allocated["object_id"]
        self.statuses.append(used(put_url["url"], b"media", put_url["content-type"]))
        at = len(self.statuses)
        self.ingest.register(self.flow_id, object_id, f"[{at}:0_{at + 1}:0)")
        shown = self.ingest.media_object(object_id, {"presigned": "true"})
        url: str = shown["get_urls"][0]["url"]
        self.statuses.append(used(url))
        return url

    def go_on(self, time_limit: float) -> None:
        """Upload until then, some times a second."""
        pause = threading.Event()
        while time.monotonic() < time_limit:
            self.upload()
            pause.wait(0.2)
