"""Events as clients read them, beside the spec: pages of what is kept, and a stream (ADR 0014)."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.domain.errors import Unavailable
from tams_gateway.events.event import Event
from tams_gateway.operations.event_feed import EventFeed
from tams_gateway.operations.event_streams import EventStream
from tams_gateway.storage.changes import Emit
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import KEYS, new_id
from tests.deployments import Deployment, by_form

listening = pytest.mark.config(events=[{"plugin": "log"}])


def event(number: int) -> Event:
    fields = {"flow_id": new_id(), "source_id": new_id(), "auth_classes": frozenset([""])}
    return Event("flows/created", number, b"{}", fields)


def read(client: Client, **query: str | int) -> list[dict[str, Any]]:
    """Return all events from a place on, read by pages."""
    found: list[dict[str, Any]] = []
    while True:
        page = client.get("/events", query=query).json
        found += page["events"]
        if not page["more"]:
            return found
        query["after"] = page["next"]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [one["event_type"] for one in events]


@listening
def test_events_are_read_by_pages_each_once(client: Client, ingest: Ingest) -> None:
    flows = [ingest.flow() for _ in range(3)]
    ingest.add(flows[0], seconds(0, 1))

    by_two, at_once = read(client, limit=2), read(client)

    assert by_two == at_once
    made = {"sources/created": 3, "flows/created": 3, "flows/segments_added": 1}
    assert Counter(types(at_once)) == made
    assert types(read(client, flow_id=flows[0])) == ["flows/created", "flows/segments_added"]


@listening
def test_the_end_is_a_place_to_go_on_from(client: Client, ingest: Ingest) -> None:
    ingest.flow()
    place = client.get("/events").json["next"]
    assert client.get("/events", query={"after": place}).json["events"] == []

    flow_id = ingest.flow()

    told = client.get("/events", query={"after": place}).json["events"]
    [made] = [one for one in told if one["event_type"] == "flows/created"]
    assert made["event"]["flow"]["id"] == flow_id
    assert len(told) == 2


@listening
def test_events_are_filtered_by_type_source_and_flow(client: Client, ingest: Ingest) -> None:
    first, second = ingest.flow(), ingest.flow()
    source_id = ingest.document(second)["source_id"]

    assert types(read(client, type="flows/created,flows/deleted")) == ["flows/created"] * 2
    assert types(read(client, flow_id=first)) == ["flows/created"]
    assert {*types(read(client, source_id=source_id))} == {"sources/created", "flows/created"}
    assert read(client, flow_id=new_id()) == []


@listening
def test_segments_are_shown_with_the_urls_that_are_asked_for(
    client: Client, ingest: Ingest
) -> None:
    flow_id = ingest.flow()
    ingest.register(flow_id, ingest.allocated(flow_id), seconds(0, 1))

    plain, signed = (
        read(client, type="flows/segments_added", **query)[0]["event"]["segments"][0]
        for query in ({"accept_get_urls": ""}, {"presigned": "true"})
    )

    assert not plain.get("get_urls")
    assert signed["get_urls"][0]["presigned"] is True


@by_form
@listening
@pytest.mark.parametrize(
    "query",
    ["after=x", "after=12.abc", "type=flows/made", "flow_id=x", "source_id=x", "limit=0"],
)
def test_what_is_malformed_is_refused_and_named(client: Client, query: str) -> None:
    for path in ("/events", "/events/stream")[: 1 if "limit" in query else 2]:
        answer = client.get(f"{path}?{query}")
        assert answer.status == 400
        assert query.split("=")[0] in answer.json["summary"]


@listening
def test_the_service_tells_of_the_stream(client: Client) -> None:
    """R-SVC-05: under a name of our own."""
    mechanisms = client.get("/service").json["event_stream_mechanisms"]
    assert mechanisms == [{"name": "tams-gateway.server-sent-events"}]


def test_without_a_sink_there_are_no_events(client: Client) -> None:
    assert "event_stream_mechanisms" not in client.get("/service").json
    for path in ("/events", "/events/stream"):
        assert client.get(path).status == 404


@listening
def test_a_stream_has_the_headers_of_one(client: Client) -> None:
    answer = client.head("/events/stream")

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"


@listening
@pytest.mark.config(limits={"event_streams": 1})
def test_what_asks_for_the_headers_alone_leaves_no_stream_open(client: Client) -> None:
    for _ in range(3):
        assert client.head("/events/stream").status == 200


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock_of_feed() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryMetadata:
    return MemoryMetadata()


@pytest.fixture
def feed(store: MemoryMetadata, clock_of_feed: Clock) -> EventFeed:
    return EventFeed(store, KEYS, 2, clock_of_feed)


@pytest.fixture
def stream(feed: EventFeed, clock_of_feed: Clock) -> Iterator[EventStream]:
    feed.enter()
    opened = EventStream(feed, feed.tip(), lambda one: one.body, clock_of_feed)
    yield opened
    opened.close()


def test_a_stream_speaks_at_once_then_tells_what_comes(
    store: MemoryMetadata, stream: EventStream, clock_of_feed: Clock
) -> None:
    assert stream.poll() == b": here\n\n"
    assert stream.poll() is None
    store.apply([Emit([event(1), event(2)])])
    clock_of_feed.now += 1

    chunk = stream.poll()

    assert chunk is not None
    assert chunk.count(b"\ndata: ") == 2
    assert stream.poll() is None


def test_only_with_the_last_event_of_a_batch_a_client_is_behind_it(
    store: MemoryMetadata, feed: EventFeed, stream: EventStream
) -> None:
    """Whoever was cut off in the middle gets all of the batch again, and misses none."""
    before = feed.tip()
    store.apply([Emit([event(1), event(2), event(3)])])

    chunk = stream.poll() or b""

    ids = [line[4:].decode() for line in chunk.split(b"\n") if line.startswith(b"id: ")]
    cursors = [feed.cursor(id_, "after") for id_ in ids]
    assert cursors == [before, before, store.tip()]
    assert [one.at_ns for one in feed.page(cursors[0], 10).items] == [1, 2, 3]


def test_a_silent_stream_says_that_it_lives_and_ends_in_time(
    stream: EventStream, clock_of_feed: Clock
) -> None:
    stream.poll()
    clock_of_feed.now += 16
    assert stream.poll() == b": here\n\n"
    clock_of_feed.now += 900
    assert stream.poll() == b""


def test_readers_at_one_place_share_what_is_read(
    store: MemoryMetadata, feed: EventFeed, clock_of_feed: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    real = store.events
    monkeypatch.setattr(store, "events", lambda after, n: (asked.append(after), real(after, n))[1])

    for _ in range(100):
        feed.read("0")
    clock_of_feed.now += 1
    feed.read("0")

    assert len(asked) == 2


def test_there_are_no_more_streams_than_are_allowed(feed: EventFeed) -> None:
    feed.enter()
    feed.enter()
    with pytest.raises(Unavailable) as caught:
        feed.enter()
    assert caught.value.headers["Retry-After"]
    feed.leave()
    feed.enter()


@listening
def test_a_page_ends_though_nothing_is_wanted_of_many_events(
    client: Client, deployment: Deployment
) -> None:
    store = deployment.gateway.metadata
    store.apply([Emit([event(number) for number in range(2500)])])

    page = client.get("/events", query={"type": "flows/deleted"}).json

    assert (page["events"], page["more"]) == ([], True)
    assert json.dumps(page["next"])
    page = client.get("/events", query={"type": "flows/deleted", "after": page["next"]}).json
    assert page["more"] is False
