"""Events as receivers get them: judged by the official document, and beside what GET shows."""

import json
from typing import Any

import pytest
from msgspec.structs import force_setattr

from tams_gateway.auth.access import AccessSettings, ClassRule, Policy
from tams_gateway.auth.principal import ANYBODY, Principal, Scope
from tams_gateway.events.event import Event
from tams_gateway.events.rendering import Shape
from tams_gateway.operations import payloads
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tests.deployments import Deployment
from tests.spec.official import PRESENT, needs_document, official

READER = Principal("reader", frozenset({Scope.READ}), frozenset({"news"}))


class Receiver:
    """Renders what the outbox gets, for a receiver of some shape."""

    def __init__(self, deployment: Deployment) -> None:
        self.gateway = deployment.gateway
        self.base = deployment.client.base
        force_setattr(self.gateway, "listening", True)
        self._cursor = self.gateway.metadata.tip()

    def events(self) -> list[Event]:
        """Return what was written since the last call."""
        found = self.gateway.metadata.events(self._cursor, 1000)
        self._cursor = found.cursor
        return found.items

    def shown(self, event: Event, by: Principal = ANYBODY, **shape: Any) -> dict[str, Any] | None:
        """Return what the receiver gets; all of it is judged by the document."""
        sent = payloads.render(self.gateway, event, Shape(base=self.base, **shape), by)
        if sent is None:
            return None
        document: dict[str, Any] = json.loads(sent)
        if PRESENT:
            errors = [error.message for error in official().event(event.type).iter_errors(document)]
            assert errors == []
        return document


@pytest.fixture
def receiver(deployment: Deployment) -> Receiver:
    return Receiver(deployment)


def unsigned(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return segments without the signatures of their URLs, which have a time in them."""
    for segment in segments:
        for owner in (segment, segment.get("init_object", {})):
            for item in owner.get("get_urls", []):
                item["url"] = item["url"].partition("?")[0]
    return segments


def all_events(client: Client, ingest: Ingest) -> None:
    """Let one of each type happen."""
    flow_id = ingest.flow(tags={"a": ["b"]})
    source_id = ingest.document(flow_id)["source_id"]
    client.put(f"/flows/{flow_id}/label", json="One")
    client.put(f"/sources/{source_id}/label", json="Two")
    ingest.add(flow_id, "[0:0_1:0)")
    client.delete(f"/flows/{flow_id}")


@needs_document
def test_each_type_of_event_is_as_the_document_has_it(
    client: Client, ingest: Ingest, receiver: Receiver
) -> None:
    """R-EVT-02: all eight, in the envelope, at the time of the change."""
    before = receiver.gateway.now_ns()
    all_events(client, ingest)

    events = receiver.events()
    shown = [receiver.shown(event) for event in events]

    assert [one["event_type"] for one in shown if one] == [event.type for event in events]
    assert {event.type for event in events} == set(official().event_types)
    assert [one["event_timestamp"] for one in shown if one] == [
        payloads.timestamp(event.at_ns) for event in events
    ]
    assert all(before <= event.at_ns <= receiver.gateway.now_ns() for event in events)


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_000_000_999, "2023-11-14T22:13:20.000000Z"),
    ],
)
def test_the_time_of_an_event_has_microseconds(at_ns: int, text: str) -> None:
    """R-TIME-12."""
    assert payloads.timestamp(at_ns) == text


@pytest.mark.parametrize(
    ("shape", "query"),
    [
        ({}, {}),
        ({"accept_get_urls": ()}, {"accept_get_urls": ""}),
        ({"accept_get_urls": ("second", "elsewhere")}, {"accept_get_urls": "second,elsewhere"}),
        ({"presigned": True}, {"presigned": "true"}),
        ({"presigned": False, "verbose_storage": True}, dict.fromkeys(["verbose_storage"], "true")),
        (
            {"include_object_timerange": True, "accept_get_urls": ()},
            {"include_object_timerange": "true", "accept_get_urls": ""},
        ),
        (
            {"include_object_timerange": True, "verbose_storage": True},
            {"include_object_timerange": "true", "verbose_storage": "true"},
        ),
    ],
)
def test_added_segments_are_shown_as_a_listing_shows_them(
    ingest: Ingest, receiver: Receiver, shape: dict[str, Any], query: dict[str, str]
) -> None:
    """R-WHK-20: each option as the query parameter of its name, init objects included."""
    if shape.get("presigned") is False:
        query = {**query, "presigned": "false"}
    flow_id, fragments = ingest.flow(), ingest.init_flow()
    ingest.add(flow_id, "[0:0_1:0)")
    ingest.register(flow_id, ingest.allocated(flow_id), "[1:0_2:0)", ts_offset="1:0")
    init_id = ingest.allocated(fragments)
    ingest.register(fragments, ingest.allocated(fragments), "[0:0_1:0)", init_object_id=init_id)

    added = [event for event in receiver.events() if event.type == "flows/segments_added"]
    shown = [receiver.shown(event, **shape) for event in added]

    assert len(shown) == 3
    found = unsigned([segment for one in shown if one for segment in one["event"]["segments"]])
    listed = [*ingest.segments(flow_id, query), *ingest.segments(fragments, query)]
    assert found == unsigned(listed)
    assert [one["event"]["flow_id"] for one in shown if one] == [flow_id, flow_id, fragments]


def test_storage_ids_choose_the_urls(ingest: Ingest, receiver: Receiver) -> None:
    """R-WHK-20: an empty list is no filter; those that are left out leave an empty list."""
    flow_id = ingest.flow()
    main, second = [one["id"] for one in ingest.storage_backends()]
    ingest.register(flow_id, ingest.allocated(flow_id), "[0:0_1:0)")
    event = receiver.events()[-1]

    def urls(*storage_ids: str) -> int:
        shown = receiver.shown(event, accept_storage_ids=storage_ids)
        assert shown is not None
        return len(shown["event"]["segments"][0]["get_urls"])

    assert urls() == urls(main) == urls(second, main) > 0
    assert urls(second) == 0


def test_a_url_of_an_event_works(client: Client, ingest: Ingest, receiver: Receiver) -> None:
    """R-WHK-20, R-WHK-21, B7: signed, as asked for, for a receiver without credentials."""
    flow_id = ingest.flow()
    allocated = ingest.allocate(flow_id)[0]
    upload = allocated["put_url"]
    headers = {"Content-Type": upload["content-type"]}
    assert client.put(upload["url"], body=b"media", headers=headers).status == 200
    ingest.register(flow_id, allocated["object_id"], "[0:0_1:0)")

    shown = receiver.shown(receiver.events()[-1], presigned=True)

    assert shown is not None
    [url] = shown["event"]["segments"][0]["get_urls"]
    assert url["presigned"] is True
    assert client.get(url["url"]).body == b"media"


def test_an_event_of_an_object_that_is_gone_has_no_urls(
    client: Client, ingest: Ingest, receiver: Receiver
) -> None:
    """R-WHK-20: what is told late is told all the same."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)")
    event = receiver.events()[-1]
    assert client.delete(f"/flows/{flow_id}").status == 204

    shown = receiver.shown(event)

    assert shown is not None
    [segment] = shown["event"]["segments"]
    assert segment["timerange"] == "[0:0_1:0)"


@pytest.mark.deployments("wsgi-memory", "wsgi-sqlite")
def test_who_may_not_read_a_flow_is_told_nothing_of_it(
    client: Client, ingest: Ingest, receiver: Receiver
) -> None:
    """R-AUTH-09: judged for each event, by the classes of that moment."""
    settings = AccessSettings(auth_classes=True, classes={"films": ClassRule(write=("news",))})
    force_setattr(receiver.gateway, "policy", Policy(settings))
    news = ingest.flow(tags={"auth_classes": ["news"]})
    films = ingest.flow(tags={"auth_classes": ["films"]})
    plain = ingest.flow()
    for flow_id in (news, films, plain):
        ingest.add(flow_id, "[0:0_1:0)")
        client.delete(f"/flows/{flow_id}")

    events = receiver.events()
    seen = {event.fields.get("flow_id") for event in events if receiver.shown(event, READER)}

    assert len(events) == 3 * 6
    assert seen == {news, None}
    told = [event.type for event in events if receiver.shown(event, READER)]
    assert sorted(told) == sorted({event.type for event in events})
    assert all(receiver.shown(event, ANYBODY) for event in events)


@pytest.mark.deployments("wsgi-memory", "wsgi-sqlite")
def test_an_event_names_only_relations_that_may_be_read(
    client: Client, ingest: Ingest, receiver: Receiver
) -> None:
    """R-AUTH-08, R-AUTH-09: by what may be read when it is told, as GET shows it to the reader."""
    force_setattr(receiver.gateway, "policy", Policy(AccessSettings(auth_classes=True)))
    tags = {"news": {"auth_classes": ["news"]}, "films": {"auth_classes": ["films"]}}
    flows = {name: ingest.flow(tags=of) for name, of in tags.items()}
    sources = {name: ingest.document(flows[name])["source_id"] for name in flows}
    both = [{"id": flows["films"], "role": "b"}, {"id": flows["news"], "role": "a"}]
    whole = ingest.flow(tags=tags["news"], flow_collection=both)
    ingest.flow(tags=tags["films"], flow_collection=both[1:])
    receiver.events()
    for flow_id in (flows["news"], whole):
        client.put(f"/flows/{flow_id}/label", json="New")
        client.put(f"/sources/{ingest.document(flow_id)['source_id']}/label", json="New")

    shown = [receiver.shown(event, READER) for event in receiver.events()]
    member, member_source, collection, collection_source = (
        one["event"].get("flow") or one["event"]["source"] for one in shown if one
    )

    assert member["collected_by"] == [whole]
    assert member_source["collected_by"] == [ingest.document(whole)["source_id"]]
    assert collection["flow_collection"] == [{"id": flows["news"], "role": "a"}]
    assert collection_source["source_collection"] == [{"id": sources["news"], "role": "a"}]
    client.put(f"/flows/{flows['films']}/tags/auth_classes", json=["news"])
    films = receiver.shown(receiver.events()[-1], READER)
    assert films is not None
    assert films["event"]["flow"]["collected_by"] == [whole]


@pytest.mark.deployments("wsgi-memory")
def test_an_event_has_no_urls_of_backends_that_may_not_be_read(
    ingest: Ingest, receiver: Receiver
) -> None:
    """R-AUTH-08: the segment is told all the same."""
    settings = AccessSettings(auth_classes=True, default_classes=("sport",))
    force_setattr(receiver.gateway, "policy", Policy(settings))
    flow_id = ingest.flow(tags={"auth_classes": ["news", "films"]})
    ingest.register(flow_id, ingest.allocated(flow_id), "[0:0_1:0)")
    event = receiver.events()[-1]

    counts = []
    for group in ("news", "films"):
        shown = receiver.shown(event, Principal(group, READER.scopes, frozenset([group])))
        assert shown is not None
        counts.append(len(shown["event"]["segments"][0]["get_urls"]))

    assert counts[0] > counts[1] == 0


@pytest.mark.config(service={"public_url": "https://tams.example/api"})
@pytest.mark.deployments("wsgi-memory")
def test_urls_of_events_are_below_the_public_url(
    deployment: Deployment, ingest: Ingest, receiver: Receiver
) -> None:
    """B29: also where the webhook was registered before that was configured."""
    flow_id = ingest.flow()
    ingest.register(flow_id, ingest.allocated(flow_id), "[0:0_1:0)")
    shape = Shape(base="http://localhost")

    sent = deployment.assembly._render(receiver.events()[-1], shape, ANYBODY)

    assert sent is not None
    assert b'"url":"https://tams.example/api/media/main/' in sent
    assert b"localhost" not in sent
