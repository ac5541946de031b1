"""Starts what is compared: the gateway as an operator would, and the bare app in the same way."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tams_gateway.cli import serve

from .bare import FOLDER
from .load.site import Site, Twin

SERVERS: Final = ("gunicorn", "granian", "uvicorn")
_METADATA: Final = "TAMS_GATEWAY__METADATA__"
_OBJECTS: Final = "TAMS_GATEWAY__OBJECTS__MAIN__"
_KEPT_BYTES: Final = "TAMS_GATEWAY__LIMITS__KEPT_BYTES"

STORES: Final[dict[str, Mapping[str, str]]] = {
    "memory": {f"{_METADATA}PLUGIN": "memory", f"{_OBJECTS}PLUGIN": "memory"},
    "sqlite": {},
}
"""By name, the variables that choose stores; without any of them the embedded default runs."""

PLACE: Final = "tams-benchmark"
"""The bucket of S3, and the schema of VAST, in which everything is."""

_ROOT: Final = Path(__file__).parent.parent
_KEPT: Final = ("HOME", "LANG", "PATH", "PYTHONPATH", "TMPDIR")
"""What a server gets of the environment, as from a service manager: granian copies all of it into
each request."""

_START: Final = 30.0
"""How long a server may take to start or end, in seconds."""


def s3(endpoint: str) -> dict[str, str]:
    """Return the variables for media on an S3 server, whose bucket is made.

    The keys are those of `S3_ACCESS_KEY` and `S3_SECRET_KEY`. Raises KeyError without them.
    """
    return {
        f"{_OBJECTS}PLUGIN": "s3",
        f"{_OBJECTS}ENDPOINT": endpoint,
        f"{_OBJECTS}BUCKET": PLACE,
        f"{_OBJECTS}CREATE_BUCKET": "true",
        f"{_OBJECTS}ACCESS_KEY": os.environ["S3_ACCESS_KEY"],
        f"{_OBJECTS}SECRET_KEY": os.environ["S3_SECRET_KEY"],
    }


def vast(endpoint: str) -> dict[str, str]:
    """Return the variables for metadata in a VAST Database, whose schema is made.

    The keys and the bucket are those of `VAST_ACCESS_KEY`, `VAST_SECRET_KEY` and `VAST_BUCKET`.
    Raises KeyError without them.
    """
    return {
        f"{_METADATA}PLUGIN": "vast",
        f"{_METADATA}ENDPOINTS": json.dumps([endpoint]),
        f"{_METADATA}ACCESS_KEY": os.environ["VAST_ACCESS_KEY"],
        f"{_METADATA}SECRET_KEY": os.environ["VAST_SECRET_KEY"],
        f"{_METADATA}BUCKET": os.environ["VAST_BUCKET"],
        f"{_METADATA}SCHEMA": PLACE,
    }


@contextmanager
def gateway(
    server: str,
    store: str,
    folder: Path,
    workers: int = 1,
    log: Path | None = None,
    *,
    kept: bool = True,
) -> Iterator[Site]:
    """Serve a new gateway, its data in the folder, until the end of the block.

    Its log goes to the file, or to nowhere. Unless `kept`, it keeps no answers.
    """
    folder.mkdir(exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", "tams_gateway", "serve", "--server", server]
    options = ["--port", str(port), "--workers", str(workers)]
    variables = STORES[store] if kept else {**STORES[store], _KEPT_BYTES: "0"}
    with _running([*command, *options], folder, variables, log, port) as pid:
        yield Site(f"http://127.0.0.1:{port}", pid=pid)


@contextmanager
def bare(server: str, real: Site, folder: Path, answers: Path, workers: int = 1) -> Iterator[Twin]:
    """Serve the bare app with the answers in a folder until the end of the block."""
    folder.mkdir(exist_ok=True)
    port = _free_port()
    variables = {
        **STORES["memory"],
        **serve.MALLOC,
        FOLDER: str(answers.absolute()),
        "TAMS_GATEWAY__SERVE__PORT": str(port),
        "TAMS_GATEWAY__SERVE__WORKERS": str(workers),
    }
    command = [sys.executable, "-m", "benchmarks.bare", server]
    with _running(command, folder, variables, None, port) as pid:
        yield Twin(f"http://127.0.0.1:{port}", real, pid)


@contextmanager
def changed(
    module: str, server: str, store: str, folder: Path, variables: Mapping[str, str] = {}
) -> Iterator[Site]:
    """Serve a new gateway as a module of `benchmarks` changes it until the end of the block."""
    folder.mkdir(exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", f"benchmarks.{module}", server]
    more = {**STORES[store], **serve.MALLOC, "TAMS_GATEWAY__SERVE__PORT": str(port)}
    with _running(command, folder, {**more, **variables}, folder / "log", port) as pid:
        yield Site(f"http://127.0.0.1:{port}", pid=pid)


@contextmanager
def _running(
    command: list[str], folder: Path, variables: Mapping[str, str], log: Path | None, port: int
) -> Iterator[int]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = os.pathsep.join([str(_ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    environment = {**kept, "PYTHONPATH": path, **variables}
    with open(log or os.devnull, "ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        _wait(process, " ".join(command), port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_START)


def _wait(process: "subprocess.Popen[bytes]", command: str, port: int) -> None:
    end = time.monotonic() + _START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command} did not start") from error
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
