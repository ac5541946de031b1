"""Writers that do all that clients do until the server dies, and know what must be there then."""

import hashlib
import http.client
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import seconds
from tams_gateway.testing.samples import flow as sample_flow
from tams_gateway.testing.samples import new_id
from tams_gateway.testing.samples import segment as external
from tests.faults.model import SLICE, Allocated, Known, State, span, without

LOST = (ConnectionError, http.client.HTTPException, TimeoutError)
Segments = dict[str, Any] | list[dict[str, Any]]
MEDIA = {"content-type": "video/mp2t"}
MOST_FLOWS = 5
MOST_AT_ONCE = 4
"""The `async_deletion_threshold` of the servers: above it deletions go on in the background."""

CONTEST = 99 * SLICE
"""Where writers of one flow compete for the same timeranges."""


class Writer:
    """Works on flows of its own and on one that it shares, one request at a time.

    `state` is what was acknowledged; `maybe` what is there if the request in flight came through.
    """

    def __init__(self, number: int, shared: str, seed: int) -> None:
        self.number = number
        self.shared = shared
        self.state = State(flows={shared: Known()})
        self.maybe: State | None = None
        self.won: dict[str, str] = {}
        """The segments of the contest that got 201, with their objects."""
        self.told: set[str] = set()
        """The objects of all segments that were ever acknowledged."""
        self.requests: list[str] = []
        """Where the deletion requests are that were accepted."""
        self._unsure: Mapping[str, str] | None = None
        self._random = random.Random(seed)
        self._next = number * SLICE
        self._contest = CONTEST

    def work(self, client: Client, started: threading.Event) -> None:
        """Write until the server is gone."""
        try:
            self.make_sure(client)
            while True:
                self._random.choice(_MOVES)(self, client)
                started.set()
        except LOST:
            return

    def settle(self, seen: Mapping[str, Known]) -> None:
        """Take what was seen after a restart for the truth; raises AssertionError if it is none."""
        if self.maybe is not None and self.maybe.flows != self.state.flows:
            if self.maybe.shows(seen):
                self.state = self.maybe
            else:
                self._unsure = None
        assert self.state.shows(seen), f"{self.state}\n{self.maybe}\n{seen}"
        self.maybe = None

    def _send(self, after: State, client: Client, method: str, path: str, **body: Any) -> Answer:
        self.maybe = after
        answer = client.request(method, path, **body)
        assert answer.status in (200, 201, 202, 204), f"{method} {path}: {answer}"
        self.state, self.maybe = after, None
        if answer.status == 202:
            self.requests.append(answer.headers["location"].removeprefix(client.base))
        return answer

    def make_sure(self, client: Client) -> None:
        """Delete again what may have been deleted in the background: only the answer tells."""
        if self._unsure is not None:
            path = f"/flows/{self._unsure['flow_id']}/segments"
            query = {"timerange": self._unsure["timerange"]}
            self._send(self.state, client, "DELETE", path, query=query)
            self._unsure = None

    def _own(self) -> list[str]:
        return [flow_id for flow_id in self.state.flows if flow_id != self.shared]

    def _any(self) -> str:
        return self._random.choice(list(self.state.flows))

    def _segment(self, object_id: str, **members: Any) -> dict[str, Any]:
        """Return a segment at a new second, of an object whose own time begins at 0."""
        first, self._next = self._next, self._next + 1
        timerange = seconds(first, first + 1)
        return {"object_id": object_id, "timerange": timerange, "ts_offset": f"{first}:0"} | members

    def _elsewhere(self) -> dict[str, Any]:
        """Return a segment of an object that lies elsewhere."""
        sent = external("_")
        return self._segment(sent["object_id"], get_urls=sent["get_urls"])

    def make_flow(self, client: Client) -> None:
        """Put a flow with a tag; with too many, delete one."""
        if len(self._own()) >= MOST_FLOWS:
            return self.delete_flow(client)
        document = sample_flow(tags={f"w{self.number}": "made"})
        known = Known(tags={f"w{self.number}": "made"})
        after = self.state.with_flow(document["id"], known)
        after = replace(
            after, sources={**self.state.sources, document["id"]: document["source_id"]}
        )
        self._send(after, client, "PUT", f"/flows/{document['id']}", json=document)
        return None

    def delete_flow(self, client: Client) -> None:
        """Delete a flow with all that is in it."""
        if self._own():
            flow_id = self._random.choice(self._own())
            self._send(self.state.without_flow(flow_id), client, "DELETE", f"/flows/{flow_id}")

    def set_tag(self, client: Client) -> None:
        """Set a tag, or delete one."""
        flow_id = self._any()
        known = self.state.flows[flow_id]
        name = f"w{self.number}.{self._random.randrange(4)}"
        path = f"/flows/{flow_id}/tags/{name}"
        if name in known.tags:
            after = replace(known, tags=without(known.tags, [name]))
            self._send(self.state.with_flow(flow_id, after), client, "DELETE", path)
        else:
            after = replace(known, tags={**known.tags, name: new_id()})
            state = self.state.with_flow(flow_id, after)
            self._send(state, client, "PUT", path, json=after.tags[name])

    def upload(self, client: Client) -> None:
        """Allocate some objects, or upload to one of those."""
        waiting = [id_ for id_, one in self.state.allocated.items() if not one.uploaded]
        if not waiting:
            return self._allocate(client)
        object_id = waiting[0]
        one = self.state.allocated[object_id]
        # The same when it is tried again: a killed worker may leave a first copy beside it.
        content = object_id.encode() * (1 + sum(object_id.encode()) % 500)
        after = replace(
            self.state,
            allocated={**self.state.allocated, object_id: one._replace(uploaded=True)},
            digests={**self.state.digests, object_id: hashlib.sha256(content).hexdigest()},
        )
        self._send(after, client, "PUT", one.target, body=content, headers=MEDIA)
        return None

    def _allocate(self, client: Client) -> None:
        flow_id = self._any()
        path = f"/flows/{flow_id}/storage"
        answer = self._send(self.state, client, "POST", path, json={"limit": 2})
        made = {
            one["object_id"]: Allocated(
                flow_id, one["put_url"]["url"].removeprefix(client.base), False
            )
            for one in answer.json["media_objects"]
        }
        self.state = replace(self.state, allocated={**self.state.allocated, **made})

    def post_one(self, client: Client) -> None:
        """Register an uploaded object."""
        for object_id, one in self.state.allocated.items():
            if one.uploaded:
                return self._post(client, one.flow_id, self._segment(object_id))
        return None

    def post_many(self, client: Client) -> None:
        """Post a list of segments: of uploaded objects, of such as lie elsewhere, and of used."""
        flow_id = self._any()
        segments = [self._elsewhere() for _ in range(self._random.randrange(1, 8))]
        for object_id, one in self.state.allocated.items():
            if one.uploaded and one.flow_id == flow_id:
                segments.append(self._segment(object_id))
        used = sorted(self.state.used())
        segments += map(self._segment, self._random.sample(used, min(len(used), 2)))
        self._random.shuffle(segments)
        self._post(client, flow_id, segments)

    def reuse(self, client: Client) -> None:
        """Use an object once more, in any flow."""
        if used := sorted(self.state.used()):
            self._post(client, self._any(), self._segment(self._random.choice(used)))

    def _post(self, client: Client, flow_id: str, sent: Segments) -> None:
        segments = sent if isinstance(sent, list) else [sent]
        added = {one["timerange"]: one["object_id"] for one in segments}
        after = self.state.with_segments(flow_id, added)
        answer = self._send(after, client, "POST", f"/flows/{flow_id}/segments", json=sent)
        assert answer.status == 201, answer
        self.told.update(added.values())

    def delete_segments(self, client: Client) -> None:
        """Delete some segments in a row: at once, or in the background where they are many."""
        flow_id = self._any()
        known = self.state.flows[flow_id]
        row = sorted(known.segments, key=span)[self._random.randrange(3) :]
        if not row or known.doomed:
            return
        row = row[: self._random.randrange(1, 3 * MOST_AT_ONCE)]
        after = self.state.without_segments(flow_id, row, at_once=len(row) <= MOST_AT_ONCE)
        timerange = seconds(span(row[0])[0], span(row[-1])[1])
        self._unsure = {"flow_id": flow_id, "timerange": timerange}
        path = f"/flows/{flow_id}/segments"
        self._send(after, client, "DELETE", path, query={"timerange": timerange})
        self._unsure = None

    def compete(self, client: Client) -> None:
        """Post a segment where another writer does the same: one of them gets 201."""
        sent = external(seconds(self._contest, self._contest + 1))
        self._contest += 1
        answer = client.post(f"/flows/{self.shared}/segments", json=sent)
        assert answer.status in (201, 400), answer
        if answer.status == 201:
            self.won[sent["timerange"]] = sent["object_id"]
            self.told.add(sent["object_id"])


_MOVES: Sequence[Callable[[Writer, Client], None]] = (
    Writer.make_flow,
    Writer.set_tag,
    Writer.set_tag,
    *([Writer.upload] * 5),
    *([Writer.post_one] * 3),
    *([Writer.post_many] * 2),
    *([Writer.reuse] * 2),
    Writer.delete_segments,
    *([Writer.compete] * 2),
)
