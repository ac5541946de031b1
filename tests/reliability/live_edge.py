"""A live edge: flows that grow at one end and lose what is old, and readers that miss nothing."""

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.transports import Http
from tests.reliability.usage import Usage, usage
from tests.servers.process import Serve

FLOWS: Final = 8
READERS: Final = 4
WINDOW: Final = 30
"""How many segments of each flow are kept."""

MEDIA: Final = {"content-type": "video/mp2t"}


class Figures(msgspec.Struct, frozen=True):
    """What a live edge cost, minute by minute, and how many segments its readers got."""

    segments: int
    read: int
    usage: list[Usage]

    def growth(self, field: str) -> float:
        """Return by which factor something grew between the third minute and the last."""
        minutes: list[float] = [getattr(one, field) for one in self.usage]
        return minutes[-1] / minutes[2]

    def dearer(self) -> float:
        """Return how much dearer the last minute was than the first."""
        return self.usage[-1].cpu / self.usage[0].cpu


class LiveEdge:
    """Flows of so many segments a second each, brought in and read until the time is over."""

    def __init__(self, server: Serve, size: int, rate: float) -> None:
        self._server = server
        self._client = Client(Http(f"http://127.0.0.1:{server.port}"))
        self._pause = 1 / rate
        self._size = size
        self._flows = [Ingest(self._client).flow() for _ in range(FLOWS)]
        self._ended, self._written_all = threading.Event(), threading.Event()
        self._written = [0] * FLOWS

    def run(
        self, minutes: int, minute: float = 60.0, done: Callable[[int], None] = lambda _: None
    ) -> Figures:
        """Let so many minutes pass, each of so many seconds, and return what they cost."""
        with ThreadPoolExecutor(FLOWS + READERS) as pool:
            writing = [pool.submit(self._write, number) for number in range(FLOWS)]
            reading = [pool.submit(self._read, number) for number in range(READERS)]
            spent = []
            for number in range(minutes):
                spent.append(usage(self._server, minute))
                done(number + 1)
                broken = [one for one in (*writing, *reading) if one.done()]
                if broken:
                    break
            self._ended.set()
            written = sum(one.result() for one in writing)
            self._written_all.set()
            read = sum(one.result() for one in reading)
        self._client.close()
        return Figures(written, read, spent)

    def _write(self, number: int) -> int:
        """Bring in a segment, forget an old one, and so on; return how many it were."""
        flow_id, path = self._flows[number], f"/flows/{self._flows[number]}"
        ingest = Ingest(self._client)
        due = time.monotonic() + self._pause * number / FLOWS
        second = 0
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            media_object = ingest.allocate(flow_id)[0]
            url = media_object["put_url"]["url"]
            content = _content(number, second, self._size)
            assert self._client.put(url, body=content, headers=MEDIA).status == 200
            first = seconds(second, second + 1)
            ingest.register(flow_id, media_object["object_id"], first, ts_offset=f"{second}:0")
            second += 1
            self._written[number] = second
            old = {"timerange": f"_{max(0, second - WINDOW)}:0)"}
            assert self._client.delete(f"{path}/segments", query=old).status == 204
            due += self._pause
        return second

    def _read(self, number: int) -> int:
        """Poll some flows for what is new, and fetch it; return how many segments it were."""
        places = dict.fromkeys(range(number, FLOWS, READERS), 0)
        ended = False
        while not ended:
            # What was written before this look is seen by it.
            ended = self._written_all.wait(self._pause / 2)
            written = list(self._written)
            for flow, place in places.items():
                places[flow] = self._follow(flow, place)
                assert places[flow] >= written[flow], f"{places[flow]} of {written[flow]}"
        return sum(places.values())

    def _follow(self, flow: int, place: int) -> int:
        """Fetch the segments of a flow from a second on; return the second behind them."""
        path = f"/flows/{self._flows[flow]}/segments"
        for found in self._client.listed(path, query={"timerange": f"[{place}:0_"}):
            assert found["timerange"] == seconds(place, place + 1)
            media = self._client.get(found["get_urls"][0]["url"])
            assert media.status == 200
            assert _digest(media.body) == _digest(_content(flow, place, self._size))
            place += 1
        return place


def _content(flow: int, second: int, size: int) -> bytes:
    name = b"%d %d " % (flow, second)
    return name + bytes(size - len(name))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
