"""A gateway on the real stores of a directory, whose clock and background work a test drives."""

import functools
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from time import time_ns
from typing import Any, Final
from unittest import mock

import structlog

from tams_gateway import assembly, selection
from tams_gateway.http.pipeline import Pipeline
from tams_gateway.http.routes import ROUTES
from tams_gateway.http.table import complete
from tams_gateway.http.wsgi_adapter import WsgiApp
from tams_gateway.jobs import collection, copies, deletion
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import known_backends
from tams_gateway.operations.gateway import Gateway
from tams_gateway.plugin import loader
from tams_gateway.settings import Settings
from tams_gateway.testing.client import Client
from tams_gateway.testing.transports import Wsgi
from tests.deployments import config

A_DAY: Final = 86_400
BACKENDS: Final = ("main", "second")
MOST_AT_ONCE: Final = 4
"""How many segments are deleted before the answer."""

_JOBS: Final = (deletion.carry_out, collection.collect, copies.settle)
_load: Final = functools.cache(loader.load)


def settings(folder: Path, durability: str) -> Settings:
    """Return settings for a database and two storage backends in a folder."""
    sections: Mapping[str, Mapping[str, Any]] = {
        "metadata": {"path": str(folder / "data" / "tams.db"), "durability": durability},
        "limits": {"async_deletion_threshold": MOST_AT_ONCE},
        **{f"objects.{name}": {"durability": durability} for name in BACKENDS},
    }
    return config("wsgi-sqlite", folder, sections)


class Opened:
    """A gateway at work; `ahead` is how many seconds its clock is before everybody else's."""

    def __init__(self, folder: Path, durability: str) -> None:
        self.ahead = 0
        clock = mock.Mock(time=lambda: self._now_ns() / 1e9, time_ns=self._now_ns)
        with (
            mock.patch.object(assembly, "time", clock),
            mock.patch.object(selection, "load", _load),
        ):
            made = assembly.assemble(settings(folder, durability))
        known_backends.note(made.gateway)
        self.folder = folder
        self.gateway: Gateway = made.gateway
        self.close = made.close
        pipeline = Pipeline(made.gateway, made.chain, made.settings.service)
        self.client = Client(Wsgi(WsgiApp(pipeline, complete(ROUTES), close=made.close)))

    def _now_ns(self) -> int:
        return time_ns() + self.ahead * 1_000_000_000

    def work(self) -> None:
        """Do everything that there is to do in the background."""
        lease = Lease("jobs", self.gateway.metadata, self.gateway.now_ns)
        log = structlog.get_logger("tams_gateway.jobs")
        assert lease.acquire(), "a dead process holds the lease"
        while True:
            found = [job(self.gateway, lease, log) for job in _JOBS]
            if not any(found):
                break
            lease.keep()
        lease.release()

    def check(self) -> None:
        """Raise AssertionError unless the database is sound."""
        with closing(sqlite3.connect(self.folder / "data" / "tams.db")) as database:
            assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()

    def files(self) -> Counter[str]:
        """Return how many files each storage backend has of each SHA-256, by `BACKEND SHA-256`."""
        return Counter(
            f"{name} {sha256(path.read_bytes()).hexdigest()}"
            for name in BACKENDS
            for path in (self.folder / name).rglob("*")
            if path.is_file()
        )


@contextmanager
def opened(folder: Path, durability: str = "process") -> Iterator[Opened]:
    """Open the gateway of a folder."""
    with closing(Opened(folder, durability)) as gateway:
        yield gateway
