"""POST /flows/{flowId}/segments: one segment and its flow (R-SEG-10 to -19, -29)."""

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import segment as external
from tests.deployments import by_form

UNKNOWN = "11111111-1111-4111-8111-111111111111"


def test_a_stored_segment_answers_201_without_a_body(client: Client, ingest: Ingest) -> None:
    """R-SEG-10."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/segments", json=external("[0:0_1:0)"))

    assert answer.status == 201
    assert answer.body == b""


@pytest.mark.parametrize("flow_id", [UNKNOWN, "no-uuid"])
def test_segments_of_an_unknown_flow_are_not_found(client: Client, flow_id: str) -> None:
    """R-SEG-14: unlike GET."""
    assert client.post(f"/flows/{flow_id}/segments", json=external("[0:0_1:0)")).status == 404
    assert client.post(f"/flows/{flow_id}/segments", json=[external("[0:0_1:0)")]).status == 404


@pytest.mark.parametrize("many", [False, True])
def test_a_flow_without_container_takes_no_segments(
    client: Client, ingest: Ingest, many: bool
) -> None:
    """R-SEG-14, R-FLW-10."""
    flow_id = ingest.flow(container=None)
    segment = external("[0:0_1:0)")

    body = [segment] if many else segment
    assert client.post(f"/flows/{flow_id}/segments", json=body).status == 400
    assert ingest.segments(flow_id) == []


@pytest.mark.parametrize("many", [False, True])
def test_a_read_only_flow_takes_no_segments(client: Client, ingest: Ingest, many: bool) -> None:
    """R-SEG-14; a broken body is told first (400 before 403)."""
    flow_id = ingest.flow(read_only=True)
    segment = external("[0:0_1:0)")

    body = [segment] if many else segment
    assert client.post(f"/flows/{flow_id}/segments", json=body).status == 403
    assert client.post(f"/flows/{flow_id}/segments", json={"object_id": "x"}).status == 400
    ingest.set_read_only(flow_id, False)
    assert ingest.segments(flow_id) == []


def test_a_closed_flow_still_takes_segments(ingest: Ingest) -> None:
    """R-FLW-15: the status does not gate writes."""
    flow_id = ingest.flow(status="closed_complete")

    ingest.add(flow_id, "[0:0_1:0)")

    assert ingest.timeranges(flow_id) == ["[0:0_1:0)"]


@pytest.mark.parametrize(
    ("standing", "added", "fits"),
    [
        ("[0:0_10:0)", "[10:0_20:0)", True),
        ("[0:0_10:0]", "[10:0_20:0)", False),
        ("[0:0_10:0]", "[10:1_20:0)", True),
        ("[1:0_2:0)", "[2:0]", True),
        ("[2:0]", "[2:0_3:0)", False),
        ("[2:0]", "[2:1_3:0)", True),
        ("[0:0_10:0)", "[9:999999999]", False),
        ("[0:0_10:0)", "[9:999999999_11:0)", False),
        ("[0:0_10:0)", "[-1:0_0:0)", True),
        ("[0:0_10:0)", "[-1:0_0:0]", False),
        ("[0:0_10:0)", "[2:0_3:0)", False),
        ("[2:0_3:0)", "[0:0_10:0)", False),
        ("[1700000000:0_1700000000:1)", "[1700000000:1]", True),
    ],
)
def test_segments_of_a_flow_do_not_overlap(
    client: Client, ingest: Ingest, standing: str, added: str, fits: bool
) -> None:
    """R-SEG-15, R-TIME-10, G-19: boundaries are sets, and an overlap is always 400."""
    flow_id = ingest.flow()
    ingest.add(flow_id, standing)

    answer = client.post(f"/flows/{flow_id}/segments", json=external(added))

    assert answer.status == (201 if fits else 400)
    assert len(ingest.segments(flow_id)) == (2 if fits else 1)
    if not fits:
        assert standing in answer.json["summary"]


def test_segments_of_two_flows_may_overlap(ingest: Ingest) -> None:
    """R-SEG-15 is a rule within one flow."""
    first, second = ingest.flow(), ingest.flow()
    ingest.add(first, "[0:0_1:0)")

    ingest.add(second, "[0:0_1:0)")

    assert ingest.timeranges(second) == ["[0:0_1:0)"]


@pytest.mark.parametrize("many", [False, True])
def test_an_identical_segment_may_be_posted_again(
    client: Client, ingest: Ingest, many: bool
) -> None:
    """R-SEG-16: 201 and no change, so that a retried ingest is safe."""
    flow_id = ingest.flow()
    segment = external("[0:0_1:0)", ts_offset="0:0", last_duration="0:5", key_frame_count=2)
    ingest.add_many(flow_id, [segment])
    before = ingest.document(flow_id)

    body = [segment] if many else segment
    answer = client.post(f"/flows/{flow_id}/segments", json=body)

    assert answer.status == 201
    assert ingest.document(flow_id) == before
    assert len(ingest.segments(flow_id)) == 1


def test_absent_properties_of_an_identical_segment_count_as_their_defaults(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-16: an absent one equals its default, or the object's."""
    flow_id = ingest.flow()
    segment = external("[0:0_1:0)", key_frame_count=2, object_timerange="[0:0_5:0)")
    ingest.add_many(flow_id, [segment])
    plain = {"object_id": segment["object_id"], "timerange": "[0:0_1:0)"}

    for again in (plain, {**plain, "ts_offset": "0:0"}, {**plain, "key_frame_count": 2}):
        assert client.post(f"/flows/{flow_id}/segments", json=again).status == 201
    assert len(ingest.segments(flow_id)) == 1


@pytest.mark.parametrize(
    "difference",
    [
        {"timerange": "[0:0_1:0]"},
        {"timerange": "[0:0_0:5)"},
        {"object_id": "another"},
        {"ts_offset": "0:1"},
        {"last_duration": "0:6"},
        {"sample_offset": 1},
        {"sample_count": 26},
        {"key_frame_count": 3},
        {"object_timerange": "[0:0_2:0)"},
    ],
)
def test_a_different_segment_over_a_stored_one_is_refused(
    client: Client, ingest: Ingest, difference: dict[str, object]
) -> None:
    """R-SEG-16, R-SEG-25: there is no upsert."""
    flow_id = ingest.flow()
    segment = external(
        "[0:0_1:0)", last_duration="0:5", sample_offset=0, sample_count=25, key_frame_count=2
    )
    ingest.add_many(flow_id, [segment])
    before = ingest.segments(flow_id)

    answer = client.post(f"/flows/{flow_id}/segments", json={**segment, **difference})

    assert answer.status == 400
    assert ingest.segments(flow_id) == before


@by_form
@pytest.mark.parametrize(
    "timerange",
    [
        "_",
        "()",
        "",
        "[",
        "[0:0_",
        "_1:0)",
        "(0:0_1:0)",
        "(0:0_1:0]",
        "[1:0_1:0)",
        "[2:0_1:0)",
        "(1:0)",
        "[1:0)",
        "(1:0]",
        "[0:0_9223372036:854775807]",
        "[0:0_99999999999:0)",
        "[-9223372036:854775809_0:0)",
        "[0:0_1:0)\n",
        "[0:0_1:1000000000)",
        "[0:0-1:0)",
    ],
)
def test_a_segment_needs_a_bounded_timerange_that_includes_its_start(
    client: Client, ingest: Ingest, timerange: str
) -> None:
    """R-SEG-17, R-TIME-02, -06, -07, -12: what passes the pattern is not enough."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/segments", json=external(timerange))

    assert answer.status == 400
    assert "/timerange" in answer.json["summary"]


@by_form
@pytest.mark.parametrize(
    "members",
    [
        {"last_duration": "-1:0"},
        {"last_duration": "1"},
        {"ts_offset": "1.5:0"},
        {"ts_offset": "99999999999:0"},
        {"ts_offset": "9223372036:0", "timerange": "[-5:0_-4:0)"},
        {"sample_offset": "0"},
        {"sample_count": 1.5},
        {"key_frame_count": True},
        {"object_id": ""},
        {"object_id": 5},
        {"object_id": None},
        {"object_timerange": "_"},
        {"object_timerange": "()"},
        {"init_object_id": ""},
        {"get_urls": [{"url": "https://example.com/a"}]},
        {"get_urls": [{"label": "a"}]},
        {"get_urls": {}},
    ],
)
def test_faulty_members_are_refused(
    client: Client, ingest: Ingest, members: dict[str, object]
) -> None:
    """R-SEG-12, R-SEG-18, R-SEG-22, R-TIME-02: each by the name of its place."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/segments", json={**external("[0:0_1:0)"), **members})

    assert answer.status == 400
    assert "/" + next(iter(members)) in answer.json["summary"]
    assert ingest.segments(flow_id) == []


def test_negative_offsets_are_fine(ingest: Ingest) -> None:
    """R-SEG-18: negative since 8.0."""
    flow_id = ingest.flow()
    object_id = ingest.add(flow_id, "[0:0_1:0)", ts_offset="-10:500000000")

    assert ingest.media_object(object_id)["timerange"] == "[10:500000000_11:500000000)"


def test_unknown_members_are_dropped(ingest: Ingest) -> None:
    """R-GEN-08: `get_urls` are closed, so an echo would break the schema."""
    flow_id = ingest.flow()
    urls = [{"label": "a", "url": "https://example.com/a", "colour": "red", "controlled": True}]
    ingest.add(flow_id, "[0:0_1:0)", get_urls=urls, invented=True)

    segment = ingest.segments(flow_id)[0]

    assert set(segment) == {"object_id", "timerange", "get_urls"}
    assert set(segment["get_urls"][0]) <= {"label", "url", "presigned"}


def test_a_segment_can_be_corrected_by_deletion(client: Client, ingest: Ingest) -> None:
    """R-SEG-16: DELETE, then POST."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)")

    assert client.delete(f"/flows/{flow_id}/segments").status == 204
    ingest.add(flow_id, "[0:0_2:0)")

    assert ingest.timeranges(flow_id) == ["[0:0_2:0)"]


def test_segments_touch_segments_updated_and_nothing_else(ingest: Ingest) -> None:
    """R-SEG-29, R-FLW-05: a segment write is no change of the metadata."""
    flow_id = ingest.flow()
    before = ingest.document(flow_id)
    ingest.add(flow_id, "[0:0_1:0)")

    after = ingest.document(flow_id)

    assert "segments_updated" not in before
    assert after.pop("segments_updated").endswith("Z")
    assert after == before


def test_what_get_shows_can_be_posted_to_another_flow(ingest: Ingest) -> None:
    """B11: replication posts all that it read, but for `get_urls` and `init_object`."""
    first, second = ingest.flow(), ingest.flow()
    ingest.add(
        first,
        "[5:0_6:0)",
        ts_offset="5:0",
        last_duration="0:40000000",
        key_frame_count=1,
        sample_offset=0,
        sample_count=25,
    )
    segment = ingest.segments(first, {"include_object_timerange": "true"})[0]
    del segment["get_urls"]

    ingest.add_many(second, [segment])

    shown = ingest.segments(second, {"include_object_timerange": "true"})[0]
    del shown["get_urls"]
    assert shown == segment
