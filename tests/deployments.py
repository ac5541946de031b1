"""Gateways for tests: each with fresh stores, behind one of the ways to reach it."""

import asyncio
import functools
import os
import shutil
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import msgspec
import pytest
import uvicorn

from tams_gateway import asgi, selection, wsgi
from tams_gateway.assembly import Assembly, assemble
from tams_gateway.plugin import loader
from tams_gateway.settings import Settings, load
from tams_gateway.testing.client import Client, Watch
from tams_gateway.testing.transports import (
    Asgi,
    AsgiApp,
    Http,
    Lifespan,
    Message,
    Receive,
    Send,
    Wsgi,
)
from tests.stores import Servers, Table, past_the_gateway, stores, toml

_NGINX: Final = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
_USUAL: Final = f"wsgi-memory asgi-memory wsgi-sqlite {'nginx' if _NGINX else 'asgi'}-sqlite"
"""Each app type on each store; behind a real nginx it is the ASGI app that works on SQLite."""

KINDS: Final = tuple(os.environ.get("TAMS_DEPLOYMENTS", _USUAL).split())
"""Ways to reach a gateway (`wsgi`, `asgi`, `nginx`), each with the stores that it has."""


def sampled(test: pytest.Item) -> Sequence[str]:
    """Return in what other ways a test runs: on VAST and S3 each twelfth, for the sake of time.

    Where ways are named, the test runs in these alone.
    """
    if "TAMS_DEPLOYMENTS" in os.environ or test.get_closest_marker("served_by_the_gateway"):
        return ()
    number = zlib.crc32(test.nodeid.encode())
    return (f"{('wsgi', 'asgi')[number // 12 % 2]}-vast-s3",) if number % 12 == 0 else ()


by_form = pytest.mark.deployments("wsgi-memory", "asgi-memory")
"""For what is judged by the request alone: no store has a say, and no server in between."""

_loaded = functools.cache(loader.load)
"""Finding a plugin reads the metadata of every installed distribution: once is enough."""


class Clock:
    """The wall clock of a gateway, with an offset that tests may move."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.offset_ns = 0
        self._now_ns = now_ns

    def __call__(self) -> int:
        return self._now_ns() + self.offset_ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.offset_ns += round(seconds * 1_000_000_000)


class Deployment:
    """A gateway at work: a client of it, and what it was assembled from."""

    def __init__(self, client: Client, assembly: Assembly) -> None:
        self.client = client
        self.assembly = assembly
        self.gateway = assembly.gateway
        self.clock = Clock(self.gateway.now_ns)
        msgspec.structs.force_setattr(self.gateway, "now_ns", self.clock)


def config(
    kind: str,
    folder: Path,
    sections: Mapping[str, Table | Sequence[Table]],
    servers: Servers | None = None,
) -> Settings:
    """Return settings with two storage backends; `sections` adds to the config or replaces.

    Those of `auth` and `events` are lists. The `servers` are asked for those that the stores need.
    """
    chosen = stores(kind.partition("-")[2], folder, servers)
    document: dict[str, Table] = {
        "service": {"name": "Tests", "trusted_proxies": ["127.0.0.1"] * (kind[:5] == "nginx")},
        "metadata": chosen.metadata,
        "objects.main": {
            **chosen.main,
            "default": True,
            "label": "main",
            "tags": {"tier": "hot", "auth_classes": ["news", "sport"]},
        },
        "objects.second": {**chosen.second, "label": "second", "tags": {"tier": "cold"}},
    }
    for name, section in sections.items():
        if isinstance(section, Mapping):
            document[name] = {**document.get(name, {}), **section}
    lists = {name: one for name, one in sections.items() if not isinstance(one, Mapping)}
    path = folder / "gateway.toml"
    path.write_text(toml(document, lists))
    return load(path, {})


@contextmanager
def in_process(kind: str, settings: Settings, watches: list[Watch]) -> Iterator[Deployment]:
    """Run a gateway without a server."""
    transport: Wsgi | Asgi
    if kind.startswith("wsgi"):
        app, assembly = created(wsgi, settings)
        transport, close = Wsgi(app), app.close
    else:
        app, assembly = created(asgi, settings)
        transport, close = Asgi(app), lambda: None
    client = Client(transport, watches, past_the_gateway(settings))
    try:
        yield Deployment(client, assembly)
    finally:
        client.close()
        close()


def created(module: Any, settings: Settings) -> tuple[Any, Assembly]:
    """Return the app that a module creates, and what it was assembled from."""
    assemblies: list[Assembly] = []

    def recording(settings: Settings) -> Assembly:
        assemblies.append(assemble(settings))
        return assemblies[-1]

    with (
        mock.patch.object(module, "assemble", recording),
        mock.patch.object(selection, "load", _loaded),
    ):
        return module.create(settings), assemblies[0]


class Front:
    """A uvicorn server in a thread, whose app each test swaps; `base` leads to it."""

    def __init__(self) -> None:
        self._app: AsgiApp | None = None
        self._started = threading.Event()
        # asyncio turns Nagle's delay of 40 ms off only where the protocol is named.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(100)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._call,
            interface="asgi3",  # A guess takes a bound method for an app of ASGI 2.
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="front")
        self._thread.start()
        self._started.wait()

    @contextmanager
    def serving(self, app: AsgiApp) -> Iterator[None]:
        """Serve an app, from its start to its end."""
        lifespan = Lifespan(app)
        self._run(lifespan.start())
        self._app = app
        try:
            yield
        finally:
            self._app = None
            self._run(lifespan.end())

    def close(self) -> None:
        """Stop the server."""
        self._server.should_exit = True
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._server.serve(sockets=[self._socket])

    async def _call(self, scope: Message, receive: Receive, send: Send) -> None:
        assert self._app is not None, "a request outside any test"
        await self._app(scope, receive, send)

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


@contextmanager
def behind(
    front: Front, transport: Http, settings: Settings, watches: list[Watch]
) -> Iterator[Deployment]:
    """Run a gateway behind the front server and what stands before that."""
    app, assembly = created(asgi, settings)
    with front.serving(app), ExitStack() as closing:
        past = past_the_gateway(settings)
        for one in past:
            closing.callback(one.close)
        yield Deployment(Client(transport, watches, past), assembly)
