"""`tams-gateway serve` as a process, started, asked and ended by tests."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tams_gateway.testing.client import Answer, Headers
from tests.servers.nginx import free_port
from tests.spec.official import watches

SERVERS = ("uvicorn", "gunicorn", "granian")

_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("TAMS_GATEWAY")
}


def read(response: http.client.HTTPResponse) -> Answer:
    """Return a response, read to its end."""
    return Answer(response.status, Headers(response.getheaders()), response.read())


class Serve:
    """A running `tams-gateway serve` in a folder of its own, of this environment or another."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] = {},
        python: str = sys.executable,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command("--port", str(self.port), *options, python=python),
                cwd=folder,
                env=_ENVIRONMENT | environment,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds: float = 10) -> None:
        """Return once GET /service answers. Raises AssertionError after some seconds."""
        end = time.monotonic() + seconds
        while True:
            try:
                assert self.request("GET", "/service").status == 200
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, f"no answer within {seconds} s"
                time.sleep(0.03)
            else:
                return

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """Send a request on a connection of its own; the official document judges the answer."""
        with self.connection() as connection:
            connection.request(method, target, body, dict(headers))
            answer = read(connection.getresponse())
        for watch in watches():
            watch(method, target, answer)
        return answer

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """Open a connection for several requests."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            yield connection
        finally:
            connection.close()

    def open_socket(self, data: bytes = b"") -> socket.socket:
        """Open a bare connection and send some bytes."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        opened.sendall(data)
        return opened

    def processes(self) -> list[int]:
        """Return the ids of all processes of the gateway that run, the first of them first."""
        found = [self.process.pid]
        for parent in found:
            found += _children(parent)
        return found

    def workers(self) -> list[int]:
        """Return the ids of the processes that answer requests, of several."""
        return [
            number
            for number in self.processes()
            if not _children(number) and b"resource_tracker" not in _command_line(number)
        ]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the first process and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(10)

    def kill(self) -> None:
        """Kill all processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


def command(*options: str, python: str = sys.executable) -> list[str]:
    """Return the command line of `tams-gateway serve` with options."""
    return [python, "-m", "tams_gateway", "serve", *options]


def refused(
    folder: Path, options: Sequence[str], environment: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """Run a `serve` that is to end by itself within 5 s."""
    return subprocess.run(
        command(*options),
        cwd=folder,
        env=_ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        timeout=5,
        check=False,
    )


@contextmanager
def serving(
    folder: Path,
    *options: str,
    environment: Mapping[str, str] = {},
    python: str = sys.executable,
    within: float = 10,
) -> Iterator[Serve]:
    """Serve until the end of the block; afterwards no process is left.

    Raises AssertionError unless it answers `within` so many seconds.
    """
    serve = Serve(folder, *options, environment=environment, python=python)
    try:
        serve.wait(within)
        yield serve
    finally:
        serve.kill()
        if serve.process.stdout is not None:
            serve.process.stdout.close()


def rss(numbers: Sequence[int]) -> int:
    """Return the resident memory of processes that is theirs alone, in bytes."""
    total = 0
    for number in numbers:
        text = Path(f"/proc/{number}/status").read_text()
        total += 1024 * sum(map(int, re.findall(r"RssAnon:\s+(\d+) kB", text)))
    return total


def _command_line(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def _children(parent: int) -> list[int]:
    try:
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(number) for number in text.split()]
