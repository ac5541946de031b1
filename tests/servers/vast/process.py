"""The server as a child process, for tests of several processes and of what they cost."""

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.servers.vast.calls import Answer, Request
from tests.servers.vast.server import ACCESS, SECRET, Logged, Server, count
from tests.servers.vast.switches import Fault, Switches
from tests.servers.vast.wire import Listener

_ROOT: Final = Path(__file__).parents[3]


class Setup(msgspec.Struct):
    """What the parent tells the child at its start."""

    endpoints: int
    switches: Switches
    bucket: str


class Ready(msgspec.Struct):
    """What the child tells its parent."""

    endpoints: list[str]
    control: int
    """The port for `Remote`."""


class Remote:
    """A server in another process; its methods are those of `Server`."""

    def __init__(self, ready: Ready, setup: Setup) -> None:
        self.endpoints = ready.endpoints
        self.bucket = setup.bucket
        self.access = ACCESS
        self.secret = SECRET
        self._switches = setup.switches
        self._faults: Sequence[Fault] = ()
        self._port = ready.control

    @property
    def switches(self) -> Switches:
        """How it behaves."""
        return self._switches

    @switches.setter
    def switches(self, switches: Switches) -> None:
        self._switches = switches
        self._ask("PUT", "switches", msgspec.json.encode(switches))

    @property
    def faults(self) -> Sequence[Fault]:
        """What is to go wrong. Setting it starts to count requests anew."""
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        self._faults = faults
        self._ask("PUT", "faults", msgspec.json.encode(faults))

    @property
    def requests(self) -> list[Logged]:
        """The log of requests, fetched at each access."""
        return msgspec.json.decode(self._ask("GET", "requests"), type=list[Logged])

    @property
    def cpu(self) -> float:
        """Seconds of processor time that the process has used."""
        return float(self._ask("GET", "cpu"))

    def count(self, method: str | None = None, command: str | None = None) -> int:
        """Return how many requests of a kind were logged."""
        return count(self.requests, method, command)

    def forget(self) -> None:
        """Empty the log of requests."""
        self._ask("DELETE", "requests")

    def stop(self, endpoint: int) -> None:
        """Let an endpoint be gone."""
        self._ask("PUT", "stop", b"%d" % endpoint)

    def start(self, endpoint: int) -> None:
        """Let an endpoint be back."""
        self._ask("PUT", "start", b"%d" % endpoint)

    def _ask(self, method: str, path: str, body: bytes = b"") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, f"/{path}", body)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        assert response.status == 200, answer
        return answer


@contextmanager
def vast_process(
    endpoints: int = 1, switches: Switches | None = None, bucket: str = "vastdb"
) -> Iterator[Remote]:
    """Run a server in a process of its own, which ends with the block or with this process."""
    setup = Setup(endpoints, switches or Switches(), bucket)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(setup) + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, "the server did not start"
        yield Remote(msgspec.json.decode(line, type=Ready), setup)
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _control(server: Server, request: Request) -> Answer:
    match request.method, request.names[0]:
        case "PUT", "switches":
            server.switches = msgspec.json.decode(request.body, type=Switches)
        case "PUT", "faults":
            server.faults = msgspec.json.decode(request.body, type=list[Fault])
        case "GET", "requests":
            return Answer(msgspec.json.encode(server.requests))
        case "DELETE", "requests":
            server.forget()
        case "GET", "cpu":
            return Answer(str(time.process_time()).encode())
        case "PUT", "stop":
            server.stop(int(request.body))
        case "PUT", "start":
            server.start(int(request.body))
        case _:
            return Answer(b"no such call", status=404)
    return Answer()


def _main() -> None:
    setup = msgspec.json.decode(sys.stdin.buffer.readline(), type=Setup)
    server = Server(setup.endpoints, setup.switches, setup.bucket)
    control = Listener(-1, "127.0.0.1", lambda request: (_control(server, request), False))
    control.open()
    ready = Ready(server.endpoints, control.port)
    sys.stdout.buffer.write(msgspec.json.encode(ready) + b"\n")
    sys.stdout.buffer.flush()
    # The parent closes this when it is done, and the system does when the parent dies.
    sys.stdin.buffer.read()


if __name__ == "__main__":
    _main()
