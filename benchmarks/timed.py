"""The gateway with a clock at each border between its layers, for `benchmarks.layers`.

    TAMS_TIMED=FILE python -m benchmarks.timed granian

Runs as `serve` runs it, under gunicorn or granian. Each request of `/` writes to the file what the
requests before it spent, as JSON: for each layer the time that was its own, of every request, in
nanoseconds.
"""

import functools
import importlib
import json
import os
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import falcon

from tams_gateway import log
from tams_gateway.cli.servers import process
from tams_gateway.http.pipeline import Pipeline
from tams_gateway.http.wsgi_adapter import WsgiApp
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore

FILE: Final = "TAMS_TIMED"
"""The variable that names the file."""

LAYERS: Final = (
    "adapter",
    "Falcon",
    "pipeline",
    "auth",
    "operation",
    "metadata store",
    "SQL",
    "commit",
    "object store",
    "log",
)

P = ParamSpec("P")
R = TypeVar("R")


class _Clock(threading.local):
    """What runs in a thread: for each call under way its start, and what those inside took."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.spent: Counter[str] = Counter()


_clock = _Clock()
_requests: list[dict[str, int]] = []


def _timed(layer: str, function: Callable[P, R], *, root: bool = False) -> Callable[P, R]:
    """Return the function with a clock; outside of a request it runs without."""

    @functools.wraps(function)
    def timed(*args: P.args, **kwargs: P.kwargs) -> R:
        calls = _clock.calls
        if not calls and not root:
            return function(*args, **kwargs)
        call = [time.perf_counter_ns(), 0]
        calls.append(call)
        try:
            return function(*args, **kwargs)
        finally:
            calls.pop()
            took = time.perf_counter_ns() - call[0]
            _clock.spent[layer] += took - call[1]
            if calls:
                calls[-1][1] += took

    return timed


def _on_class(owner: type, name: str, layer: str) -> None:
    if hasattr(owner, name):
        setattr(owner, name, _timed(layer, getattr(owner, name)))


class _Cursor(sqlite3.Cursor):
    """A cursor that takes the time of what it fetches."""

    fetchall = _timed("SQL", sqlite3.Cursor.fetchall)
    fetchone = _timed("SQL", sqlite3.Cursor.fetchone)


class _Connection(sqlite3.Connection):
    """A connection that takes the time of what it runs; that of a commit is the disk's, mostly."""

    def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
        """Run a statement."""
        layer = "commit" if sql == "COMMIT" else "SQL"
        return _timed(layer, self.cursor(_Cursor).execute)(sql, *more)

    def executemany(self, sql: str, *more: Any) -> sqlite3.Cursor:
        """Run a statement for many rows."""
        return _timed("SQL", self.cursor(_Cursor).executemany)(sql, *more)


def _answered(self: WsgiApp, environ: Any, start_response: Any) -> Any:
    """Answer a request, and keep or write what was spent."""
    _clock.spent.clear()
    answer = _whole(self, environ, start_response)
    if environ["PATH_INFO"] == "/":
        Path(os.environ[FILE]).write_text(json.dumps(_requests))
        _requests.clear()
    else:
        _requests.append(dict(_clock.spent))
    return answer


_whole = _timed("adapter", WsgiApp.__call__, root=True)


def _create() -> WsgiApp:
    made = _made()
    gateway = made._pipeline._gateway
    for name in vars(MetadataStore):
        if not name.startswith("_"):
            _on_class(type(gateway.metadata), name, "metadata store")
    for store in {type(backend.store) for backend in gateway.backends.values()}:
        for name in vars(ObjectStore):
            if not name.startswith("_"):
                _on_class(store, name, "object store")
    return made


_made = process.wsgi_worker


def _install() -> None:
    connect = sqlite3.connect
    sqlite3.connect = functools.partial(connect, factory=_Connection)  # type: ignore[assignment]
    WsgiApp._respond = _timed("adapter", WsgiApp._respond)  # type: ignore[method-assign]
    WsgiApp.__call__ = _answered  # type: ignore[method-assign]
    falcon.App.__call__ = _timed("Falcon", falcon.App.__call__)  # type: ignore[method-assign]
    Pipeline.__call__ = _timed("pipeline", Pipeline.__call__)  # type: ignore[method-assign]
    Pipeline._admit = _timed("auth", Pipeline._admit)  # type: ignore[method-assign]
    Pipeline._operate = _timed("operation", Pipeline._operate)  # type: ignore[method-assign]
    log.request = _timed("log", log.request)
    process.wsgi_worker = _create


if __name__ == "__main__":
    _install()
    importlib.import_module(f"tams_gateway.cli.servers.run_{sys.argv[1]}").main()
