"""Media of 2 GiB in and out of `filesystem`, while the process grows by less than 64 MiB."""

import hashlib
import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.process import SERVERS, Serve, rss, serving
from tests.servers.test_http import FLOW, flow, put_json

MIB = 2**20
CHUNK = bytes(range(256)) * 4096
JSON = {"Content-Type": "application/json"}

ROOM = Path("/dev/shm")
"""Where the media lie: in memory, since a disk would take a minute."""


class Peak:
    """Watches how much memory processes of their own hold at most."""

    def __init__(self, serve: Serve) -> None:
        self._processes = serve.processes()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = rss(self._processes)
        self.most = self.before

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.most = max(self.most, rss(self._processes))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A folder for 2 GiB that are gone afterwards."""
    folder = (ROOM if ROOM.is_dir() else tmp_path.parent) / f"tams-gateway-{tmp_path.name}"
    if shutil.disk_usage(folder.parent).free < 3 * 2**30:
        folder = tmp_path / "room"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("server", "size"), [(SERVERS[0], 2048), (SERVERS[1], 2048), (SERVERS[2], 256)]
)
def test_media_stream_in_and_out_in_little_memory(
    tmp_path: Path, room: Path, server: str, size: int
) -> None:
    """Both app types take 2 GiB; granian's WSGI is that of gunicorn, so less will do."""
    config = tmp_path / "gateway.toml"
    objects = f'[objects.main]\nplugin = "filesystem"\npath = "{room}/objects"\n'
    config.write_text(objects + 'durability = "process"\n')
    with serving(tmp_path, "--config", str(config), "--server", server) as serve:
        path = _allocate(serve)
        with Peak(serve) as peak:
            put = serve.request("PUT", path, _sent(size), _header(size))
            assert 200 == put.status, put.body
            received, digest = _fetch(serve, _get_url(serve))

    assert size * MIB == received
    assert _digest(size) == digest
    assert (peak.most - peak.before) / MIB < 64


@pytest.mark.parametrize("server", SERVERS)
def test_an_upload_that_is_cut_leaves_nothing(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, "--server", server) as serve:
        path = _allocate(serve)
        head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{serve.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {4 * MIB}\r\n\r\n"
        with serve.open_socket(head.encode() + CHUNK[: MIB // 2]) as raw:
            raw.shutdown(1)
            raw.recv(1000)
        objects = tmp_path / "data" / "objects"

        assert 404 == serve.request("GET", _get_url(serve)).status
        files = [one for one in objects.rglob("*") if one.is_file()]
        assert 0 == sum(one.stat().st_size for one in files)


@pytest.mark.parametrize("server", SERVERS)
def test_a_chunked_upload_is_stored_where_a_cut_one_can_be_told(
    tmp_path: Path, server: str
) -> None:
    with serving(tmp_path, "--server", server) as serve:
        path = _allocate(serve)
        chunks = iter([b'"whole', b'"'])
        answer = serve.request("PUT", path, chunks, JSON)

        if server == "granian":
            assert (411, "length_required") == (answer.status, json.loads(answer.body)["type"])
        else:
            assert 200 == answer.status
            assert b'"whole"' == serve.request("GET", _get_url(serve)).body


@pytest.mark.parametrize("server", SERVERS)
def test_who_sends_a_refused_upload_reads_why(tmp_path: Path, server: str) -> None:
    """The rest of it is taken in, since a sender whose connection ends learns nothing."""
    with serving(tmp_path, "--server", server) as serve:
        for _ in range(3):
            announced = serve.request("PUT", "/media/main/none.ts", CHUNK * 12, JSON)
            assert (404, "not_found") == (announced.status, json.loads(announced.body)["type"])
            if server != "granian":  # It takes no chunked one at all.
                chunked = serve.request("PUT", "/media/main/none.ts", iter([CHUNK] * 12), JSON)
                assert 404 == chunked.status


def _allocate(serve: Serve) -> str:
    assert 201 == put_json(serve, FLOW, flow()).status
    body = json.dumps({"object_ids": ["large"], "content_type": "application/json"}).encode()
    posted = serve.request("POST", f"{FLOW}/storage", body, JSON)
    url = json.loads(posted.body)["media_objects"][0]["put_url"]["url"]
    return "/" + str(url).split("/", 3)[3]


def _get_url(serve: Serve) -> str:
    segment = b'{"object_id": "large", "timerange": "[0:0_1:0)"}'
    assert 201 == serve.request("POST", f"{FLOW}/segments", segment, JSON).status
    [found] = json.loads(serve.request("GET", f"{FLOW}/segments").body)
    return "/" + str(found["get_urls"][0]["url"]).split("/", 3)[3]


def _header(size: int) -> dict[str, str]:
    return {**JSON, "Content-Length": str(size * MIB)}


def _sent(size: int) -> Iterator[bytes]:
    return (CHUNK for _ in range(size))


def _digest(size: int) -> str:
    digest = hashlib.blake2b()
    for chunk in _sent(size):
        digest.update(chunk)
    return digest.hexdigest()


def _fetch(serve: Serve, path: str) -> tuple[int, str]:
    """Return the size and the digest of what a path gives."""
    connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    assert 200 == response.status
    received, digest = 0, hashlib.blake2b()
    while chunk := response.read(MIB):
        received += len(chunk)
        digest.update(chunk)
    connection.close()
    return received, digest.hexdigest()
