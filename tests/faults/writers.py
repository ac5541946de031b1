"""Writers that ingest until the server dies, and remember what was acknowledged."""

import hashlib
import http.client
import threading
from typing import Any, NamedTuple

from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import seconds
from tams_gateway.testing.samples import Document
from tams_gateway.testing.samples import flow as sample_flow

LOST = (ConnectionError, http.client.HTTPException, TimeoutError)
HEADERS = {"content-type": "video/mp2t"}


class Kept(NamedTuple):
    """A segment that got 201."""

    flow_id: str
    timerange: str
    object_id: str
    sha256: str


class Writer:
    """Makes flows and fills a shared one, in competition with the other writers of it.

    Each call of `work` goes on until the server is gone. What was not acknowledged is tried
    again at the next call, as a client would.
    """

    def __init__(self, shared: Document, number: int) -> None:
        self.shared = shared
        self.kept: list[Kept] = []
        self.flows: list[Document] = []
        self._number = number
        self._next = 0
        self._pending: tuple[str, str, bytes] | None = None

    def work(self, client: Client, started: threading.Event) -> None:
        """Write until the server is gone."""
        try:
            while True:
                self._step(client)
                started.set()
        except LOST:
            return

    def _step(self, client: Client) -> None:
        if self._next % 5 == self._number % 5:
            document = sample_flow(label=f"{self._number}", tags={"take": str(self._next)})
            _sent(client.put(f"/flows/{document['id']}", json=document), 201)
            self.flows.append(document)
        flow_id = self.shared["id"]
        if self._pending is None:
            media_object = _allocated(client, flow_id)
            content = f"{self._number} {self._next} ".encode() * 500
            url = media_object["put_url"]["url"].removeprefix(client.base)
            self._pending = media_object["object_id"], url, content
        object_id, url, content = self._pending
        uploaded = client.put(url, body=content, headers=HEADERS)
        if uploaded.status != 409:  # the registration whose answer was lost has come through
            _sent(uploaded, 200)
        timerange = seconds(self._next, self._next + 1)
        segment = {"object_id": object_id, "timerange": timerange}
        answer = client.post(f"/flows/{flow_id}/segments", json=segment)
        if answer.status == 201:
            digest = hashlib.sha256(content).hexdigest()
            self.kept.append(Kept(flow_id, timerange, object_id, digest))
        else:
            _sent(answer, 400)
        self._pending = None
        self._next += 1


def _allocated(client: Client, flow_id: str) -> dict[str, Any]:
    answer = client.post(f"/flows/{flow_id}/storage", json={"limit": 1})
    _sent(answer, 201)
    found: dict[str, Any] = answer.json["media_objects"][0]
    return found


def _sent(answer: Answer, status: int) -> None:
    assert answer.status == status, f"{answer.status}: {answer.body[:500]!r}"
