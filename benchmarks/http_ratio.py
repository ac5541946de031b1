"""How much the gateway costs beside a bare Falcon app on the same server, as ratios.

    python benchmarks/http_ratio.py [--server uvicorn] [--store memory] [--rounds 15]

Both serve one client over one kept connection and take turns within each round; the order flips
every round. A figure is the median over the rounds, then the lowest and the highest.
"""

import argparse
import http.client
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

FLOW = "11111111-1111-4111-8111-111111111111"
SOURCE = "22222222-2222-4222-8222-222222222222"
SECONDS = 0.4
"""How long each side works in a round."""

BARE = {
    "uvicorn": "uvicorn --loop uvloop --http httptools --no-access-log --log-level error "
    "--port {port} bare:asgi",
    "gunicorn": "gunicorn --worker-class gthread --threads 64 --log-level error "
    "--bind 127.0.0.1:{port} bare:wsgi",
    "granian": "granian --interface wsgi --blocking-threads 64 --no-access-log --log-level error "
    "--port {port} bare:wsgi",
}
STORES = {
    "memory": {
        "TAMS_GATEWAY__METADATA__PLUGIN": "memory",
        "TAMS_GATEWAY__OBJECTS__MAIN__PLUGIN": "memory",
    },
    "sqlite": {},
}
"""Overrides of the embedded default."""


class Side:
    """A server and one connection to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self._session = process.pid
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request and return the answer's body. Raises RuntimeError from 400 up."""
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        received = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {received!r}")
        return received

    def cpu(self) -> float:
        """Return the seconds of CPU that all processes of the server have used."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(") ")[2].split()
            except OSError:  # the process has ended since the listing
                continue
            if int(fields[3]) == self._session:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def work(self, request: Callable[["Side"], object]) -> tuple[float, float]:
        """Send a request over and over; return requests a second, and CPU seconds a request."""
        count, cpu, start = 0, self.cpu(), time.perf_counter()
        while (passed := time.perf_counter() - start) < SECONDS:
            request(self)
            count += 1
        return count / passed, (self.cpu() - cpu) / count


@contextmanager
def server(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[Side]:
    """Run a server until the end of the block; `{port}` in the command becomes a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / f"log-{port}").open("wb") as log:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            cwd=folder,
            env=os.environ | env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait = ["-s", "--retry-connrefused", "--retry", "30", "--retry-delay", "1"]
            subprocess.run(
                ["curl", *wait, "-o", os.devnull, f"http://127.0.0.1:{port}/"], check=True
            )
            yield Side(process, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def fill(gateway: Side) -> None:
    """Make a flow with 1000 segments of one second."""
    flow = {
        "id": FLOW,
        "source_id": SOURCE,
        "label": "Camera 1",
        "format": "urn:x-nmos:format:video",
        "codec": "video/h264",
        "container": "video/mp2t",
        "essence_parameters": {
            "frame_width": 1920,
            "frame_height": 1080,
            "frame_rate": {"numerator": 25},
        },
    }
    gateway.send("PUT", f"/flows/{FLOW}", flow)
    add(gateway, range(1000))


def add(side: Side, seconds: range) -> None:
    """Allocate objects and register each as the segment of a second."""
    wanted = {"limit": len(seconds)}
    storage = json.loads(side.send("POST", f"/flows/{FLOW}/storage", wanted))
    segments = [
        {"object_id": one["object_id"], "timerange": f"[{second}:0_{second + 1}:0)"}
        for second, one in zip(seconds, storage["media_objects"], strict=True)
    ]
    side.send("POST", f"/flows/{FLOW}/segments", segments)


def measurements() -> dict[str, Callable[[Side], object]]:
    """Return what is measured, by name."""
    second = itertools.count(10_000)

    def post(side: Side) -> object:
        at = next(second)
        segment = {
            "object_id": f"external-{at}",
            "timerange": f"[{at}:0_{at + 1}:0)",
            "get_urls": [{"label": "here", "url": f"https://media.example.com/{at}.ts"}],
        }
        return side.send("POST", f"/flows/{FLOW}/segments", segment)

    return {
        "GET flow": lambda side: side.send("GET", f"/flows/{FLOW}"),
        "GET 100 segments": lambda side: side.send("GET", f"/flows/{FLOW}/segments?limit=100"),
        "POST 1 segment": post,
    }


def compare(gateway: Side, bare: Side, rounds: int) -> Iterator[str]:
    """Return a line for each measurement."""
    for name, request in measurements().items():
        speeds, costs = [], []
        for number in range(rounds):
            sides = (gateway, bare) if number % 2 else (bare, gateway)
            found = {side: side.work(request) for side in sides}
            speeds.append(found[gateway][0] / found[bare][0])
            costs.append((found[gateway][1], found[bare][1]))
        cpu = sum(cost for cost, _ in costs) / sum(cost for _, cost in costs)
        low, high = min(speeds), max(speeds)
        middle = statistics.median(speeds)
        yield f"{name:18} {middle:5.2f} [{low:.2f}..{high:.2f}]   CPU {cpu:5.2f}"


def main() -> None:
    """Print one line for each measurement: requests a second, and CPU, as ratios to bare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--server", choices=BARE, default="uvicorn")
    parser.add_argument("--store", choices=STORES, default="memory")
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    serve = [sys.executable, "-m", "tams_gateway", "serve", "--server", chosen.server]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gateway = stack.enter_context(
            server([*serve, "--port", "{port}"], folder, STORES[chosen.store])
        )
        fill(gateway)
        (folder / "flow.json").write_bytes(gateway.send("GET", f"/flows/{FLOW}"))
        page = gateway.send("GET", f"/flows/{FLOW}/segments?limit=100")
        (folder / "segments.json").write_bytes(page)
        here = {"TAMS_BARE": str(folder), "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-m", *BARE[chosen.server].split()]
        bare = stack.enter_context(server(command, folder, here))
        print(f"{chosen.server}, {chosen.store}: requests a second relative to bare Falcon")
        for line in compare(gateway, bare, chosen.rounds):
            print(line)


if __name__ == "__main__":
    main()
