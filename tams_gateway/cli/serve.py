"""`tams-gateway serve`: checks what can be checked, then runs a server and stands guard over it.

The first process holds no store and answers no request. It runs the server as a child, which gets
all it needs by its environment, hands on signals, and sees to it that everything has ended within
ten seconds of the first signal, with status 0 even if the server exits with another.
"""

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from tams_gateway.cli.preflight import check_host, check_server
from tams_gateway.config_file import ConfigError
from tams_gateway.plugin.commands import config_option
from tams_gateway.selection import Selected, Selection, select
from tams_gateway.settings import Settings, load

_SERVERS: Final = ("uvicorn", "gunicorn", "granian")

GRACE: Final = 8
"""How long requests in flight may take to end after a signal, in seconds."""

GUARD: Final = "TAMS_GATEWAY_GUARD"
"""The variable that tells the server which process stands guard, in case it has ended before the
server could ask to be told of that."""

_END: Final = 9.0
"""When what still runs after a signal is killed, in seconds."""

MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": "67108864", "MALLOC_TRIM_THRESHOLD_": "268435456"}
"""Keeps the memory of large responses in the process: a page of 1000 segments costs glibc fresh
pages each time otherwise. What the environment says of it wins."""


@click.command()
@config_option
@click.option("--host", help="Address to listen on. Default: 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 4010; 0: any that is free.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes. Default: 1.")
@click.option("--server", type=click.Choice(_SERVERS), help="Default: uvicorn.")
def serve(
    path: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    server: str | None,
) -> None:
    """Serve the API, in the foreground; logs go to standard error.

    The options win over [serve] of the config. SIGTERM and SIGINT end it.
    """
    environment = dict(os.environ)
    if path is not None:
        environment["TAMS_GATEWAY_CONFIG"] = str(path)
    options = {"HOST": host, "PORT": port, "WORKERS": workers, "SERVER": server}
    for name, value in options.items():
        if value is not None:
            environment[f"TAMS_GATEWAY__SERVE__{name}"] = str(value)
    settings = load(path, environment)
    selection = select(settings)
    selection.check_workers(settings.serve.workers)
    check_server(settings)
    check_host(settings)
    environment["TAMS_GATEWAY__SERVE__PORT"] = str(_check_port(settings))
    _tell(settings, selection, environment["TAMS_GATEWAY__SERVE__PORT"])
    sys.exit(_guard(settings.serve.server, MALLOC | environment))


def _check_port(settings: Settings) -> int:
    """Return the port to listen on. Raises `ConfigError` where somebody does already.

    Servers share ports between their workers, and would share them with strangers as well.
    """
    host, port = settings.serve.host, settings.serve.port
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            return int(listener.getsockname()[1])
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror}") from error


def _tell(settings: Settings, selection: Selection, port: str) -> None:
    host = settings.serve.host
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    click.echo(f"API:      {settings.service.public_url or base}")
    stores: list[Selected[Any]] = [selection.metadata, *(one for _, one in selection.objects)]
    for selected in stores:
        place = getattr(selected.options, "path", None)
        where = f" in {Path(place).absolute()}" if place is not None else ""
        click.echo(f"{selected.key + ':':<9} {selected.plugin}{where}")
    click.echo(f"config:   {settings.source}")
    sys.stdout.flush()


def _guard(server: str, environment: dict[str, str]) -> int:
    """Run the server until it ends or a signal ends it; return the exit status."""
    stopped = threading.Event()
    child: subprocess.Popen[bytes] | None = None

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if child is None:
            os._exit(0)
        child.terminate()
        if not stopped.is_set():
            stopped.set()
            killer = threading.Timer(_END, child.kill)
            killer.daemon = True
            killer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    # Each connection is a file, and the soft limit is made for other programs.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    child = subprocess.Popen(
        [sys.executable, "-m", f"tams_gateway.cli.servers.run_{server}"],
        env=environment | {GUARD: str(os.getpid())},
    )
    status = child.wait()
    return 0 if stopped.is_set() else status or 1
