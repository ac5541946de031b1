"""DELETE of segments and of flows, at once (R-SEG-34 to -37, R-FLW-23 to -27)."""

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import UNKNOWN
from tams_gateway.testing.samples import segment as external
from tests.deployments import Clock


def four_seconds(ingest: Ingest) -> str:
    """Return a flow of `[0:0_1:0)`, `[1:0_2:0)`, `[2:0_3:0]` and the instant `[4:0]`."""
    flow_id = ingest.flow()
    timeranges = ("[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]")
    ingest.add_many(flow_id, [external(timerange) for timerange in timeranges])
    return flow_id


@pytest.mark.parametrize(
    ("timerange", "left"),
    [
        (None, []),
        ("_", []),
        ("[0:0_1:0)", ["[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("[0:0_2:0)", ["[2:0_3:0]", "[4:0]"]),
        ("[0:0_1:999999999)", ["[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("(0:0_2:0)", ["[0:0_1:0)", "[2:0_3:0]", "[4:0]"]),
        ("[2:0_3:0)", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("[2:0_3:0]", ["[0:0_1:0)", "[1:0_2:0)", "[4:0]"]),
        ("[2:0_3:1)", ["[0:0_1:0)", "[1:0_2:0)", "[4:0]"]),
        ("[4:0]", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]"]),
        ("(4:0_", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("_2:0)", ["[2:0_3:0]", "[4:0]"]),
        ("[1:0_99999999999:0)", ["[0:0_1:0)"]),
        ("()", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("[3:0_1:0)", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("(4:0)", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
        ("[10:0_20:0)", ["[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0]", "[4:0]"]),
    ],
)
def test_delete_takes_what_the_timerange_covers_as_a_whole(
    client: Client, ingest: Ingest, timerange: str | None, left: list[str]
) -> None:
    """R-SEG-34, R-RET-02: marks count, and a blank one covers nothing."""
    flow_id = four_seconds(ingest)
    query = None if timerange is None else {"timerange": timerange}

    answer = client.delete(f"/flows/{flow_id}/segments", query=query)

    assert answer.status == 204
    assert answer.body == b""
    assert ingest.timeranges(flow_id) == left


def test_object_id_and_timerange_both_have_to_match(client: Client, ingest: Ingest) -> None:
    """R-SEG-34."""
    flow_id = ingest.flow()
    object_id = ingest.add(flow_id, "[0:0_1:0)")
    ingest.register(flow_id, object_id, "[1:0_2:0)", ts_offset="1:0")
    ingest.add(flow_id, "[2:0_3:0)")
    path = f"/flows/{flow_id}/segments"

    both = {"object_id": object_id, "timerange": "[1:0_9:0)"}
    assert client.delete(path, query=both).status == 204
    assert ingest.timeranges(flow_id) == ["[0:0_1:0)", "[2:0_3:0)"]
    assert client.delete(path, query={"object_id": "other"}).status == 204
    assert client.delete(path, query={"object_id": ""}).status == 204
    assert ingest.timeranges(flow_id) == ["[0:0_1:0)", "[2:0_3:0)"]
    assert client.delete(path, query={"object_id": object_id}).status == 204
    assert ingest.timeranges(flow_id) == ["[2:0_3:0)"]


@pytest.mark.parametrize("flow_id", [UNKNOWN, "no-uuid", UNKNOWN.upper().replace("0", "A")])
def test_an_unknown_flow_is_not_found(client: Client, flow_id: str) -> None:
    """R-SEG-35, R-FLW-23: unlike GET of segments; and before a bad query is told."""
    assert client.delete(f"/flows/{flow_id}/segments").status == 404
    assert client.delete(f"/flows/{flow_id}/segments?timerange=x").status == 404
    assert client.delete(f"/flows/{flow_id}").status == 404


def test_a_malformed_timerange_deletes_nothing(client: Client, ingest: Ingest) -> None:
    """R-SEG-35."""
    flow_id = four_seconds(ingest)

    for timerange in ("x", "[0:0-1:0)", "[0_1)", "_\n"):
        query = {"timerange": timerange}
        assert client.delete(f"/flows/{flow_id}/segments", query=query).status == 400
    assert len(ingest.segments(flow_id)) == 4


def test_a_read_only_flow_loses_nothing(client: Client, ingest: Ingest) -> None:
    """R-SEG-35, R-FLW-12, R-FLW-23: a bad query is told first."""
    flow_id = four_seconds(ingest)
    ingest.set_read_only(flow_id, True)

    assert client.delete(f"/flows/{flow_id}/segments?timerange=x").status == 400
    assert client.delete(f"/flows/{flow_id}/segments").status == 403
    assert client.delete(f"/flows/{flow_id}/segments?timerange=()").status == 403
    assert client.delete(f"/flows/{flow_id}").status == 403

    assert len(ingest.segments(flow_id)) == 4


def test_only_a_deletion_that_takes_something_touches_the_flow(
    client: Client, ingest: Ingest, clock: Clock
) -> None:
    """R-SEG-37, R-FLW-05: `segments_updated`, and no change of the metadata."""
    flow_id = four_seconds(ingest)
    before = ingest.document(flow_id)
    clock.advance(10)

    assert client.delete(f"/flows/{flow_id}/segments?timerange=[8:0_9:0)").status == 204
    assert ingest.document(flow_id) == before
    assert client.delete(f"/flows/{flow_id}/segments?timerange=[0:0_1:0)").status == 204
    after = ingest.document(flow_id)

    assert after.pop("segments_updated") > before.pop("segments_updated")
    assert after == before


def test_the_flows_timerange_shrinks_with_its_segments(client: Client, ingest: Ingest) -> None:
    """R-FLW-18, R-SEG-34: down to `()`, and the flow stays."""
    flow_id = four_seconds(ingest)
    query = {"include_timerange": "true"}

    assert ingest.document(flow_id, query)["timerange"] == "[0:0_4:0]"
    assert client.delete(f"/flows/{flow_id}/segments?timerange=[3:5_").status == 204
    assert ingest.document(flow_id, query)["timerange"] == "[0:0_3:0]"
    assert client.delete(f"/flows/{flow_id}/segments").status == 204
    assert ingest.document(flow_id, query)["timerange"] == "()"
    assert client.listed("/flows", query={"timerange": "()"})[0]["id"] == flow_id


def test_a_flow_goes_with_its_segments_and_its_source(client: Client, ingest: Ingest) -> None:
    """R-FLW-23, R-SRC-01."""
    flow_id = four_seconds(ingest)
    source_id = ingest.document(flow_id)["source_id"]
    object_id = ingest.segments(flow_id)[0]["object_id"]

    answer = client.delete(f"/flows/{flow_id}")

    assert answer.status == 204
    for path in (f"/flows/{flow_id}", f"/sources/{source_id}", f"/objects/{object_id}"):
        assert client.get(path).status == 404
    assert client.get(f"/flows/{flow_id}/segments").json == []
    assert client.delete(f"/flows/{flow_id}").status == 404
    assert client.listed("/flow-delete-requests") == []


def test_the_id_of_a_deleted_flow_is_free_at_once(client: Client, ingest: Ingest) -> None:
    """R-FLW-25: the new flow is empty and has no past."""
    flow_id = four_seconds(ingest)
    assert client.delete(f"/flows/{flow_id}").status == 204

    ingest.flow(flow_id)

    assert ingest.segments(flow_id) == []
    assert "segments_updated" not in ingest.document(flow_id)
    ingest.add(flow_id, "[0:0_1:0)")
    assert ingest.timeranges(flow_id) == ["[0:0_1:0)"]


def test_objects_that_others_use_outlive_a_flow(client: Client, ingest: Ingest) -> None:
    """R-FLW-24, R-SEG-37."""
    first, second = ingest.flow(), ingest.flow()
    shared, own = ingest.add(first, "[0:0_1:0)"), ingest.add(first, "[1:0_2:0)")
    ingest.register(second, shared, "[5:0_6:0)", ts_offset="5:0")

    assert client.delete(f"/flows/{first}").status == 204

    assert ingest.media_object(shared)["referenced_by_flows"] == [second]
    assert client.get(f"/objects/{own}").status == 404
    assert ingest.segments(second)[0]["get_urls"]


def test_collections_drop_a_deleted_flow(client: Client, ingest: Ingest) -> None:
    """R-FLW-26, R-FLW-27, G-12."""
    member, other = ingest.flow(), ingest.flow()
    collection = [{"id": member, "role": "video"}, {"id": other, "role": "audio"}]
    collector = ingest.flow(flow_collection=collection)

    assert client.delete(f"/flows/{member}").status == 204
    assert ingest.document(collector)["flow_collection"] == collection[1:]
    assert client.delete(f"/flows/{collector}").status == 204

    assert ingest.document(other).get("collected_by", []) == []


@pytest.mark.config(limits={"async_deletion_threshold": 3})
def test_what_sticks_out_does_not_count_for_the_threshold(client: Client, ingest: Ingest) -> None:
    """R-SEG-36, R-DEL-03: three that go are few, whatever the timerange cuts at its ends."""
    flow_id = ingest.flow()
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(6)])

    answer = client.delete(f"/flows/{flow_id}/segments?timerange=[0:5_4:5)")

    assert answer.status == 204
    assert ingest.timeranges(flow_id) == ["[0:0_1:0)", "[4:0_5:0)", "[5:0_6:0)"]
