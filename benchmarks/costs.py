"""What a request costs in a gateway inside this process, on one store beside another."""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from tams_gateway import log, wsgi
from tams_gateway.settings import load
from tams_gateway.testing.client import Client
from tams_gateway.testing.transports import Wsgi

from .counted import Count
from .load.site import FIRST, LISTED, Site, segment
from .load.wire import LoadError

_LENGTH: Final = 1000
_BULK: Final = 10_000
_TIMES: Final = 30


class Cost(NamedTuple):
    """The medians of some requests: those to a cluster that each made, and milliseconds of CPU.

    Both are those of the thread that serves; what works in the background is not in them.
    """

    requests: float
    cpu: float


class Inside(Site):
    """A gateway in this process: it is called, and no server is in between."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.base)
        self._client = client

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and return what its answer's JSON says. Raises `LoadError` from 300 up."""
        answer = self._client.request(
            method, path, body=b"" if body is None else json.dumps(body).encode()
        )
        if answer.status >= 300:
            raise LoadError(f"{method} {path}: {answer.status} {answer.body[:600]!r}")
        return json.loads(answer.body) if answer.body else None


@contextmanager
def inside(variables: Mapping[str, str], log_file: Path) -> Iterator[Inside]:
    """Run a gateway with these stores until the end of the block; its log goes to the file."""
    with log_file.open("a") as file, redirect_stderr(file):
        log.configure()
        app = wsgi.create(load(None, variables))
        try:
            yield Inside(Client(Wsgi(app)))
        finally:
            app.close()
            log.flush()


def costs(variables: Mapping[str, str], folder: Path, count: Count) -> dict[str, Cost]:
    """Return what each operation costs on the metadata store of these variables.

    Media are in memory. What the gateway writes here goes into the folder.
    """
    stores = {**variables, "TAMS_GATEWAY__OBJECTS__MAIN__PLUGIN": "memory"}
    with chdir(folder), inside(stores, folder / "log") as site:
        return {name: _cost(work, count) for name, work in _operations(site).items()}


def _cost(calls: Iterator[Callable[[], object]], count: Count) -> Cost:
    requests, spent = [], []
    for call in calls:
        count.start()
        began = time.thread_time()
        call()
        spent.append(time.thread_time() - began)
        requests.append(count.requests)
    return Cost(statistics.median(requests), 1000 * statistics.median(spent))


def _operations(site: Site) -> dict[str, Iterator[Callable[[], object]]]:
    """Return for each operation its calls; what they need is made before each."""
    flow_id, other = site.flow(_LENGTH), site.new_flow()
    site.listed_flows()
    start = FIRST + _LENGTH // 2
    within = quote(f"[{start}:0_{start + 100}:0)", safe="")
    page = f"/flows/{flow_id}/segments?limit=100&timerange={within}"
    gets = {
        "GET flow": f"/flows/{flow_id}",
        "GET 100 segments by time": f"{page}&accept_get_urls=",
        "GET 100 segments with URLs": f"{page}&presigned=true",
        "list 100 flows by tag": f"/flows?tag.tams-load=listed&limit={LISTED}",
    }

    def get(path: str) -> Iterator[Callable[[], object]]:
        for _ in range(_TIMES):
            yield lambda: site.call("GET", path)

    def post(number: int, times: int) -> Iterator[Callable[[], object]]:
        for _ in range(times):
            ids = site.allocate(other, number)
            posts = [
                json.loads(segment(one, at))
                for one, at in zip(ids, site.seconds(number), strict=True)
            ]
            body = posts[0] if number == 1 else posts
            yield lambda body=body: site.call("POST", f"/flows/{other}/segments", body)  # type: ignore[misc]

    return {
        **{name: get(path) for name, path in gets.items()},
        "POST one segment": post(1, _TIMES),
        f"POST {_BULK} segments": post(_BULK, 3),
    }
