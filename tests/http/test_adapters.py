"""What both app types do with bodies and headers, in process."""

import asyncio
import gc
import sqlite3
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tams_gateway import asgi, wsgi
from tams_gateway.assembly import assemble
from tams_gateway.domain.errors import Invalid
from tams_gateway.http.asgi_adapter import AsgiApp
from tams_gateway.http.pipeline import Pipeline
from tams_gateway.http.reception import content_length
from tams_gateway.http.routes import ANY, Route
from tams_gateway.http.table import complete
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.plugin.provider import Blocks
from tams_gateway.settings import load
from tams_gateway.testing.client import Answer
from tams_gateway.testing.transports import Asgi, Wsgi

FLOW = "/flows/10000000-0000-4000-8000-000000000001"


@pytest.fixture(params=["wsgi", "asgi"])
def transport(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wsgi | Asgi]:
    """A gateway in memory, with small limits."""
    config = tmp_path / "gateway.toml"
    config.write_text(
        '[metadata]\nplugin = "memory"\n[objects.main]\nplugin = "memory"\n'
        "[limits]\nbody_bytes = 1000\nheader_bytes = 2000\n"
    )
    settings = load(config, {})
    if request.param == "wsgi":
        app = wsgi.create(settings)
        yield Wsgi(app)
        app.close()
    else:
        served = Asgi(asgi.create(settings))
        yield served
        served.close()


def ask(
    transport: Wsgi | Asgi,
    method: str,
    target: str,
    body: bytes = b"",
    headers: Mapping[str, str] = {},
) -> Answer:
    return transport.send(method, target, {"content-type": "application/json", **headers}, body)


def test_a_body_of_the_limit_is_read_and_a_larger_one_refused(transport: Wsgi | Asgi) -> None:
    fits = ask(transport, "PUT", f"{FLOW}/label", b'"' + b"x" * 998 + b'"')
    larger = ask(transport, "PUT", f"{FLOW}/label", b'"' + b"x" * 999 + b'"')

    assert 404 == fits.status
    assert 413 == larger.status


def test_a_header_above_the_limit_is_refused(transport: Wsgi | Asgi) -> None:
    assert 431 == ask(transport, "GET", "/service", headers={"x-large": "x" * 2000}).status
    assert 431 == ask(transport, "GET", f"/objects/{'x' * 2000}").status


@pytest.mark.parametrize("length", ["-1", "x", "²", "1_0", " 1"])
def test_a_wrong_content_length_is_refused(length: str) -> None:
    with pytest.raises(Invalid, match="Content-Length"):
        content_length({"content-length": length})


def test_an_unknown_method_is_refused_with_allow(transport: Wsgi | Asgi) -> None:
    answer = ask(transport, "BREW", "/flows")

    assert 405 == answer.status
    assert "GET, HEAD, OPTIONS" == answer.headers["allow"]


def test_unknown_paths_are_404_and_their_options_too(transport: Wsgi | Asgi) -> None:
    for method in ("GET", "POST", "BREW", "OPTIONS"):
        assert 404 == ask(transport, method, "/nowhere").status


def test_a_bodyless_answer_has_no_content_type(transport: Wsgi | Asgi) -> None:
    answer = ask(transport, "OPTIONS", "/flows")

    assert 204 == answer.status
    assert "content-type" not in answer.headers


def test_importing_an_app_module_opens_nothing(tmp_path: Path) -> None:
    code = "import tams_gateway.wsgi, tams_gateway.asgi"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)

    assert [] == list(tmp_path.iterdir())


def test_an_app_module_has_no_other_attribute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for module in (wsgi, asgi):
        with pytest.raises(AttributeError, match="no attribute 'application'"):
            module.application  # noqa: B018

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("blocks", "threads"),
    [
        (False, ["MainThread", "MainThread", "MainThread", "upload"]),
        ("writes", ["MainThread", "request", "request", "upload"]),
        (True, ["request", "request", "request", "upload"]),
    ],
)
def test_a_request_gets_a_thread_where_it_may_have_to_wait(
    tmp_path: Path, blocks: Blocks, threads: list[str]
) -> None:
    """A brief read does not, unless all that is called may block."""
    found = []

    def operation(_gateway: Gateway, _request: Request) -> Response:
        found.append(threading.current_thread().name.partition("-")[0])
        return Response(status=204)

    routes = (
        Route("GET", "/brief", operation, ANY, brief=True),
        Route("GET", "/long", operation, ANY),
        Route("PUT", "/brief", operation, ANY),
        Route("PUT", "/upload", operation, ANY, streams=True),
    )
    with _app(tmp_path, routes, blocks) as app:
        asyncio.run(_ask_each(app, routes))

    assert threads == found


def test_a_brief_read_waits_for_no_writer(tmp_path: Path) -> None:
    """It is called in the loop, since reads of SQLite answer while another process writes."""
    config = tmp_path / "gateway.toml"
    database = tmp_path / "tams.db"
    config.write_text(
        f'[metadata]\nplugin = "sqlite"\npath = "{database}"\n[objects.main]\nplugin = "memory"\n'
    )
    served = Asgi(asgi.create(load(config, {})))
    posted = ask(served, "POST", "/service", b'{"name": "kept"}')
    with closing(sqlite3.connect(database)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        answer = ask(served, "GET", "/service")
        waited = time.monotonic() - started
    served.close()

    assert 200 == posted.status
    assert b'"kept"' in answer.body
    assert waited < 1


@pytest.mark.parametrize("blocks", [False, True])
def test_a_request_is_freed_when_it_is_answered(tmp_path: Path, blocks: Blocks) -> None:
    """What would wait for the garbage collector costs time, and memory until then."""

    def operation(_gateway: Gateway, _request: Request) -> Response:
        return Response(body=b"{}")

    gc.collect()
    gc.disable()
    try:
        with _app(tmp_path, [Route("GET", "/it", operation, ANY)], blocks) as app:
            left = asyncio.run(_left_of(app, "/it"))
    finally:
        gc.enable()

    assert not left


@contextmanager
def _app(folder: Path, routes: Sequence[Route], blocks: Blocks) -> Iterator[AsgiApp]:
    config = folder / "gateway.toml"
    config.write_text('[metadata]\nplugin = "memory"\n[objects.main]\nplugin = "memory"\n')
    with closing(assemble(load(config, {}))) as assembly:
        app = AsgiApp(
            Pipeline(assembly.gateway, assembly.chain, assembly.settings.service),
            complete(routes),
            threads=1,
            blocks=blocks,
            start=lambda: None,
            close=lambda: None,
        )
        yield app
        app.close()


class _Cycle:
    """One request as a server has it: its `receive` leads back to the scope."""

    def __init__(self, path: str) -> None:
        self.scope = _scope("GET", path)
        self.status = 0

    async def receive(self) -> dict[str, object]:
        return {"type": "http.request"}

    async def send(self, event: dict[str, Any]) -> None:
        self.status = event.get("status", self.status)


async def _left_of(app: AsgiApp, path: str) -> bool:
    """Whether something of a request is left behind its answer."""
    cycle = _Cycle(path)
    await app(cycle.scope, cycle.receive, cycle.send)
    assert 200 == cycle.status
    seen = weakref.ref(cycle)
    del cycle
    return seen() is not None


async def _ask_each(app: AsgiApp, routes: Sequence[Route]) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(_event: object) -> None:
        pass

    for route in routes:
        await app(_scope(route.method, route.template), receive, send)


def _scope(method: str, path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
    }
