"""What another server kept comes in with its ids and times, and as often as one likes."""

import json

import pytest
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.operations.flow_records import Births, Origin, read_flow, read_source
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.imports import Import
from tams_gateway.operations.kinds import FLOW, SOURCE
from tams_gateway.operations.media_objects import load
from tams_gateway.storage.query import SegmentQuery
from tams_gateway.testing import samples
from tams_gateway.testing.samples import new_id
from tests.in_memory import MAIN, Clock, gateway_in_memory

MADE = 1_600_000_000_000_000_000
ORIGIN = Origin(MADE, MADE + 5_000_000_000, "ada", "bob")
BIRTHS = Births(ORIGIN, Origin(MADE - 1_000_000_000, MADE, "cy"))


@pytest.fixture
def gateway() -> Gateway:
    return gateway_in_memory(MemoryMetadata(), Clock())


@pytest.fixture
def importer(gateway: Gateway) -> Import:
    return Import(gateway, gateway.backends[MAIN], "http://tams.example")


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()


def imported(importer: Import, **members: object) -> str:
    document = samples.flow(**members)
    assert importer.flow(encoded(document), BIRTHS, encoded({"label": "mine"}))
    return str(document["id"])


def test_a_flow_and_its_new_source_keep_their_times_and_authors(
    gateway: Gateway, importer: Import
) -> None:
    document = samples.flow(label="first")
    assert importer.flow(encoded(document), BIRTHS, encoded({"label": "mine"}))
    assert not importer.flow(encoded({**document, "label": "again"}), BIRTHS)

    flow = read_flow(gateway.metadata.get(FLOW, [document["id"]])[document["id"]])
    source = read_source(gateway.metadata.get(SOURCE, [flow.flow.source_id])[flow.flow.source_id])

    assert (flow.created_ns, flow.updated_ns) == (MADE, MADE + 5_000_000_000)
    assert (flow.flow.created, flow.flow.created_by) == ("2020-09-13T12:26:40Z", "ada")
    assert (flow.flow.metadata_updated, flow.flow.updated_by) == ("2020-09-13T12:26:45Z", "bob")
    assert flow.flow.label == "first"
    assert (source.source.label, source.source.created_by, source.flows) == ("mine", "cy", 1)
    assert source.source.updated == "2020-09-13T12:26:40Z"


def test_what_follows_for_other_sources_leaves_their_times(
    gateway: Gateway, importer: Import
) -> None:
    member = imported(importer)
    collecting = imported(importer, flow_collection=[{"id": member, "role": "v"}])

    flows = gateway.metadata.get(FLOW, [member, collecting])
    source_id = read_flow(flows[member]).flow.source_id
    source = read_source(gateway.metadata.get(SOURCE, [source_id])[source_id]).source

    assert read_flow(flows[member]).flow.collectors == (collecting,)
    assert source.collectors == (read_flow(flows[collecting]).flow.source_id,)
    assert source.updated == "2020-09-13T12:26:40Z"
    parent = importer.source(read_flow(flows[collecting]).flow.source_id)
    assert parent is not None
    assert parent.members == (source_id,)


def test_a_flow_that_was_made_here_is_another_one(importer: Import) -> None:
    flow_id = imported(importer)
    later = Births(Origin(MADE + 1_000_000_000, MADE + 1_000_000_000), ORIGIN)
    with pytest.raises(Invalid, match=f"another flow {flow_id} is here, made at 2020-09-13"):
        importer.flow(encoded(samples.flow(id=flow_id)), later)


def test_a_flow_that_a_request_could_not_make_is_refused(importer: Import) -> None:
    with pytest.raises(Invalid, match="is not registered here"):
        importer.flow(encoded(samples.flow(flow_collection=[{"id": new_id()}])), BIRTHS)


def test_segments_take_the_bytes_where_they_are_found(gateway: Gateway, importer: Import) -> None:
    flow_id = imported(importer, read_only=True)
    gateway.backends[MAIN].store.write("old/b", "video/mp2t", [b"bytes"])
    rows = [
        {"object_id": "a", "timerange": "[0:0_1:0)"},
        {"object_id": "b", "timerange": "[1:0_2:0)"},
        {"object_id": "b", "timerange": "[1:5_2:0)"},
        {"object_id": "c", "timerange": "nonsense"},
        {"object_id": "d", "timerange": "[3:0_4:0)"},
    ]
    keys = {"a": ["new/a"], "b": ["new/b", "old/b"], "d": ["old/b"]}

    def outcomes() -> list[str]:
        found = importer.segments(flow_id, list(map(encoded, rows)), keys, MADE)
        return ["taken" if one is None else one.summary for one in found]

    absent, taken, overlapping, malformed, double = first = outcomes()
    assert absent == "its bytes are not in the storage backend, at new/a"
    assert taken == "taken"
    assert "overlaps the segment [1:0_2:0)" in overlapping
    assert malformed.startswith("/timerange")
    assert double == "its bytes, at old/b, are those of 'b'"
    assert outcomes() == first

    stored = load(gateway, ["b"])["b"].object
    [instance] = stored.instances
    assert (instance.storage_id, instance.key, stored.size, stored.uses) == (MAIN, "old/b", 5, 1)
    record = gateway.metadata.get(FLOW, [flow_id])[flow_id]
    assert record.touched == MADE
    [segment] = gateway.metadata.segments(SegmentQuery(flow_id, read_flow(record).life)).items
    assert (segment.object_id, segment.at_ns) == ("b", MADE)


def test_segments_of_no_flow_are_refused(importer: Import) -> None:
    [outcome] = importer.segments(samples.UNKNOWN, [b"{}"], {}, MADE)
    assert isinstance(outcome, NotFound)


def test_a_webhook_needs_a_sink_that_delivers(importer: Import) -> None:
    owner = Principal("ada", frozenset([Scope.READ]))
    with pytest.raises(NotFound, match="no sink"):
        importer.webhook(new_id(), b'{"url":"http://a.example","events":[]}', owner)
