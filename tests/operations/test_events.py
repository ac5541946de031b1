"""The events that changes write into the outbox (R-EVT), read from the store."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import force_setattr

from tams_gateway.events.event import Event
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import new_id
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.waiting import eventually
from tests.deployments import Deployment


class Outbox:
    """Reads on in the outbox of a gateway; nobody else takes events out of it."""

    def __init__(self, deployment: Deployment) -> None:
        self._metadata = deployment.gateway.metadata
        force_setattr(deployment.gateway, "listening", True)
        self._cursor: str | None = None

    def events(self) -> list[Event]:
        """Return what was written since the last call."""
        found = self._metadata.events(self._cursor, 1000)
        self._cursor = found.cursor
        return found.items

    def read(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the type and body of each."""
        return [(event.type, json.loads(event.body)) for event in self.events()]

    def types(self) -> list[str]:
        """Return the type of each."""
        return [event.type for event in self.events()]


@pytest.fixture
def outbox(deployment: Deployment) -> Outbox:
    return Outbox(deployment)


def text(fields: Mapping[str, object], name: str) -> object:
    value = fields.get(name)
    return set(value) if isinstance(value, frozenset) else value


def test_a_new_flow_and_its_new_source_are_told(
    client: Client, ingest: Ingest, outbox: Outbox
) -> None:
    """R-EVT-02, R-EVT-04: each as GET shows it, the flow without its timerange."""
    flow_id = ingest.flow()

    told = dict(outbox.read())

    flow = ingest.document(flow_id)
    source = client.get(f"/sources/{flow['source_id']}").json
    assert told == {"sources/created": {"source": source}, "flows/created": {"flow": flow}}


def test_a_second_flow_of_a_source_is_no_new_source(ingest: Ingest, outbox: Outbox) -> None:
    """R-EVT-02, R-SRC-01."""
    source_id = new_id()
    ingest.flow(source_id=source_id)
    outbox.read()

    ingest.flow(source_id=source_id)

    assert outbox.types() == ["flows/created"]


def test_a_change_of_the_metadata_is_told(client: Client, ingest: Ingest, outbox: Outbox) -> None:
    """R-EVT-02: by PUT and by child endpoints; G-16: not where nothing changes."""
    flow_id = ingest.flow()
    outbox.read()

    for body, expected in (("One", ["flows/updated"]), ("One", [])):
        assert client.put(f"/flows/{flow_id}/label", json=body).status == 204
        assert outbox.types() == expected
    ingest.set_read_only(flow_id, True)
    assert outbox.read() == [("flows/updated", {"flow": ingest.document(flow_id)})]


def test_added_segments_are_told_without_their_urls(ingest: Ingest, outbox: Outbox) -> None:
    """R-EVT-02, R-EVT-03, R-SEG-29: and no `flows/updated`."""
    flow_id = ingest.flow()
    outbox.read()
    object_id = ingest.add(flow_id, "[0:0_1:0)", key_frame_count=1, ts_offset="-1:0")

    told = outbox.read()

    segment = {
        "object_id": object_id,
        "timerange": "[0:0_1:0)",
        "ts_offset": "-1:0",
        "key_frame_count": 1,
    }
    body = {"flow_id": flow_id, "segments": [segment]}
    assert told == [("flows/segments_added", body)]


def test_a_list_is_told_as_one_event_of_what_was_stored(
    client: Client, ingest: Ingest, outbox: Outbox
) -> None:
    """R-EVT-05: failed and repeated items are not told."""
    flow_id = ingest.flow()
    known = external("[0:0_1:0)")
    ingest.add_many(flow_id, [known])
    outbox.read()
    segments = [known, external("[0:0_2:0)"), external("[1:0_2:0)"), external("[2:0_3:0)")]

    assert client.post(f"/flows/{flow_id}/segments", json=segments).status == 200

    [(type_, body)] = outbox.read()
    assert type_ == "flows/segments_added"
    assert [one["object_id"] for one in body["segments"]] == [
        segments[2]["object_id"],
        segments[3]["object_id"],
    ]


@pytest.mark.config(limits={"segments_per_event": 4})
def test_a_large_list_is_told_in_parts(ingest: Ingest, outbox: Outbox) -> None:
    """B23, R-EVT-02: a receiver takes no more than some megabytes at once."""
    flow_id = ingest.flow()
    outbox.read()

    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(10)])

    parts = [[segment["timerange"] for segment in body["segments"]] for _, body in outbox.read()]
    assert [len(part) for part in parts] == [4, 4, 2]
    assert [one for part in parts for one in part] == [seconds(at, at + 1) for at in range(10)]


def test_refused_requests_tell_nothing(client: Client, ingest: Ingest, outbox: Outbox) -> None:
    """R-EVT-05: neither does a repeated POST, a deletion of nothing, an allocation."""
    flow_id = ingest.flow()
    segment = external("[0:0_1:0)")
    ingest.add_many(flow_id, [segment])
    path = f"/flows/{flow_id}/segments"
    outbox.read()

    assert client.post(path, json=segment).status == 201
    assert client.post(path, json=external("[0:0_2:0)")).status == 400
    assert client.post(path, json=[external("[0:0_2:0)")]).status == 200
    assert client.post(path, json=[segment, {}]).status == 400
    assert client.delete(path, query={"timerange": "[5:0_6:0)"}).status == 204
    assert client.delete(path, query={"timerange": "x"}).status == 400
    ingest.allocated(flow_id)

    assert outbox.types() == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("_", "[10:0_21:0]"),
        ("[5:0_12:0)", "[10:0_11:0)"),
        ("[10:5_99:0)", "[20:0_21:0]"),
        ("[0:0_21:0)", "[10:0_11:0)"),
    ],
)
def test_deleted_segments_are_told_by_their_own_span(
    client: Client, ingest: Ingest, outbox: Outbox, asked: str, told: str
) -> None:
    """R-EVT-01, R-SEG-37: it begins and ends in deleted media, with their marks."""
    flow_id = ingest.flow()
    ingest.add_many(flow_id, [external("[10:0_11:0)"), external("[20:0_21:0]")])
    outbox.read()

    query = {"timerange": asked}
    assert client.delete(f"/flows/{flow_id}/segments", query=query).status == 204

    body = {"flow_id": flow_id, "timerange": told}
    assert outbox.read() == [("flows/segments_deleted", body)]


def test_a_deleted_flow_is_told_with_its_segments_and_its_source(
    client: Client, ingest: Ingest, outbox: Outbox
) -> None:
    """R-EVT-02, R-EVT-06: of the flow, segments first; between flow and source is no order."""
    flow_id = ingest.flow()
    source_id = ingest.document(flow_id)["source_id"]
    ingest.add(flow_id, "[10:0_11:0)")
    outbox.read()

    assert client.delete(f"/flows/{flow_id}").status == 204

    of_source = ("sources/deleted", {"source_id": source_id})
    told = outbox.read()
    assert [event for event in told if event != of_source] == [
        ("flows/segments_deleted", {"flow_id": flow_id, "timerange": "[10:0_11:0)"}),
        ("flows/deleted", {"flow_id": flow_id}),
    ]
    assert told.count(of_source) == 1


def test_an_empty_flow_has_no_segments_to_tell_of(
    client: Client, ingest: Ingest, outbox: Outbox
) -> None:
    """R-EVT-06."""
    flow_id = ingest.flow(source_id=ingest.document(ingest.flow())["source_id"])
    outbox.read()

    assert client.delete(f"/flows/{flow_id}").status == 204

    assert outbox.types() == ["flows/deleted"]


@pytest.mark.config(limits={"async_deletion_threshold": 3})
def test_a_deletion_in_the_background_tells_of_a_flow_once(
    client: Client, ingest: Ingest, outbox: Outbox
) -> None:
    """R-DEL-06, R-EVT-06: when it is accepted; the steps add nothing."""
    flow_id = ingest.flow()
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(10)])
    outbox.read()

    location = client.delete(f"/flows/{flow_id}").headers["location"]
    assert eventually(lambda: client.get(location).json["status"] == "done")

    deleted = {"flow_id": flow_id, "timerange": "[0:0_10:0)"}
    told = outbox.read()
    assert [type_ for type_, _ in told] == [
        "flows/segments_deleted",
        "flows/deleted",
        "sources/deleted",
    ]
    assert told[0][1] == deleted


@pytest.mark.config(limits={"async_deletion_threshold": 3})
def test_segments_deleted_in_the_background_are_told(
    client: Client, ingest: Ingest, outbox: Outbox
) -> None:
    """R-EVT-01, R-SEG-37."""
    flow_id = ingest.flow()
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(10)])
    outbox.read()

    answer = client.delete(f"/flows/{flow_id}/segments?timerange=[2:5_")
    location = answer.headers["location"]
    assert eventually(lambda: client.get(location).json["status"] == "done")

    body = {"flow_id": flow_id, "timerange": "[3:0_10:0)"}
    assert outbox.read() == [("flows/segments_deleted", body)]


def test_an_event_carries_what_filters_need(client: Client, ingest: Ingest, outbox: Outbox) -> None:
    """R-EVT-02, R-WHK-19: memberships and classes as they were at that moment."""
    member = ingest.flow(tags={"auth_classes": ["news", "sport"]})
    collector = ingest.flow(flow_collection=[{"id": member}])
    sources = {id_: ingest.document(id_)["source_id"] for id_ in (member, collector)}
    outbox.read()

    ingest.add(member, "[0:0_1:0)")
    assert client.delete(f"/flows/{member}").status == 204

    events = {event.type: event.fields for event in outbox.events()}
    for type_ in ("flows/segments_added", "flows/segments_deleted", "flows/deleted"):
        fields = events[type_]
        assert text(fields, "flow_id") == member
        assert text(fields, "source_id") == sources[member]
        assert text(fields, "flow_collected_by") == {collector}
        assert text(fields, "source_collected_by") == {sources[collector]}
        assert text(fields, "auth_classes") == {"news", "sport"}


def test_nobody_listens_by_default(deployment: Deployment) -> None:
    """Where nobody is configured to hear events, none are written."""
    ingest = Ingest(deployment.client)

    ingest.add(ingest.flow(), "[0:0_1:0)")

    assert deployment.gateway.metadata.events(None, 10).items == []
