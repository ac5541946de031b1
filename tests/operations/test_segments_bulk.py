"""POST of many segments at once (R-SEG-11 to -13)."""

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment as external
from tests.deployments import by_form


def test_a_list_that_goes_in_as_a_whole_answers_201(client: Client, ingest: Ingest) -> None:
    """R-SEG-11."""
    flow_id = ingest.flow()
    segments = [external(seconds(at, at + 1)) for at in range(3)]

    answer = client.post(f"/flows/{flow_id}/segments", json=segments)

    assert answer.status == 201
    assert answer.body == b""
    assert len(ingest.segments(flow_id)) == 3


def test_the_rest_goes_in_when_some_fail(client: Client, ingest: Ingest) -> None:
    """R-SEG-11: 200 and an object that lists the failures."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[1:0_2:0)")
    segments = [external(seconds(at, at + 1)) for at in range(3)]
    segments.append({"object_id": "unknown", "timerange": "[5:0_6:0)"})

    answer = client.post(f"/flows/{flow_id}/segments", json=segments)

    assert answer.status == 200
    assert set(answer.json) == {"failed_segments"}
    overlapping, unknown = answer.json["failed_segments"]
    assert overlapping["object_id"] == segments[1]["object_id"]
    assert overlapping["timerange"] == "[1:0_2:0)"
    assert {"type", "summary", "time"} <= set(overlapping["error"])
    assert unknown["object_id"] == "unknown"
    assert ingest.timeranges(flow_id) == [seconds(at, at + 1) for at in range(3)]


@pytest.mark.parametrize("count", [1, 2])
def test_a_list_that_fails_as_a_whole_answers_200(
    client: Client, ingest: Ingest, count: int
) -> None:
    """R-SEG-11, G-10: lists follow the rule of lists, also those of one element."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_10:0)")
    before = ingest.document(flow_id)
    segments = [external(seconds(at, at + 1)) for at in range(count)]

    answer = client.post(f"/flows/{flow_id}/segments", json=segments)

    assert answer.status == 200
    failed = [failure["object_id"] for failure in answer.json["failed_segments"]]
    assert failed == [segment["object_id"] for segment in segments]
    assert ingest.document(flow_id) == before


def test_a_single_segment_that_fails_answers_400(client: Client, ingest: Ingest) -> None:
    """R-SEG-11."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_10:0)")

    assert client.post(f"/flows/{flow_id}/segments", json=external("[0:0_1:0)")).status == 400


@by_form
@pytest.mark.parametrize(
    "faulty", [{"timerange": "[5:0_6:0)"}, {"object_id": "x", "timerange": "x"}, [], "x", None]
)
def test_a_list_with_an_item_that_breaks_the_schema_is_refused_as_a_whole(
    client: Client, ingest: Ingest, faulty: object
) -> None:
    """R-SEG-12, G-10: an item without object_id could not be listed."""
    flow_id = ingest.flow()

    answer = client.post(f"/flows/{flow_id}/segments", json=[external("[0:0_1:0)"), faulty])

    assert answer.status == 400
    assert "/1" in answer.json["summary"]
    assert ingest.segments(flow_id) == []


@by_form
@pytest.mark.parametrize("body", [b"[]", b"", b"null", b'"x"', b"{", b"[[]]", b"[" * 100_000])
def test_bodies_that_hold_no_segment_are_refused(
    client: Client, ingest: Ingest, body: bytes
) -> None:
    """R-SEG-12: the empty list, and what is no list of segments at all."""
    flow_id = ingest.flow()
    headers = {"content-type": "application/json"}

    answer = client.post(f"/flows/{flow_id}/segments", body=body, headers=headers)

    assert answer.status == 400
    assert answer.json["summary"]


def test_items_of_one_list_are_checked_against_each_other_in_order(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-13: of two that overlap the first stays, whatever their order in time."""
    flow_id = ingest.flow()
    later, earlier, free = (
        external("[5:0_10:0)"),
        external("[0:0_5:0]"),
        external("[0:0_5:0)"),
    )

    answer = client.post(f"/flows/{flow_id}/segments", json=[later, earlier, free])

    assert answer.status == 200
    failed = answer.json["failed_segments"]
    assert [failure["object_id"] for failure in failed] == [earlier["object_id"]]
    assert ingest.timeranges(flow_id) == ["[0:0_5:0)", "[5:0_10:0)"]


def test_a_retried_list_is_no_failure(client: Client, ingest: Ingest) -> None:
    """R-SEG-16: identical items count as stored, and the new ones go in."""
    flow_id = ingest.flow()
    segments = [external(seconds(at, at + 1)) for at in range(4)]
    ingest.add_many(flow_id, segments[:2])

    answer = client.post(f"/flows/{flow_id}/segments", json=segments)

    assert answer.status == 201
    assert len(ingest.segments(flow_id)) == 4


def test_an_item_that_stands_twice_in_a_list_is_stored_once(client: Client, ingest: Ingest) -> None:
    """R-SEG-13, R-SEG-16: the second is identical to the first."""
    flow_id = ingest.flow()
    segment = external("[0:0_1:0)")

    answer = client.post(f"/flows/{flow_id}/segments", json=[segment, segment])

    assert answer.status == 201
    assert len(ingest.segments(flow_id)) == 1


def test_a_list_may_use_an_object_again_that_it_has_just_registered(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-13, R-SEG-24: the first item registers, the next one reuses."""
    flow_id = ingest.flow()
    object_id = ingest.allocated(flow_id)
    whole = {"object_id": object_id, "timerange": "[0:0_10:0)"}
    part = {"object_id": object_id, "timerange": "[10:0_12:0)", "ts_offset": "8:0"}
    beyond = {"object_id": object_id, "timerange": "[20:0_22:0)", "ts_offset": "11:0"}

    answer = client.post(f"/flows/{flow_id}/segments", json=[whole, part, beyond])

    assert answer.status == 200
    assert [one["timerange"] for one in answer.json["failed_segments"]] == ["[20:0_22:0)"]
    assert ingest.timeranges(flow_id) == ["[0:0_10:0)", "[10:0_12:0)"]
    assert ingest.media_object(object_id)["timerange"] == "[0:0_10:0)"


def test_an_object_counts_each_of_its_segments(client: Client, ingest: Ingest) -> None:
    """R-FLW-24, R-OBJ-07: it goes with the last one, not before."""
    flow_id = ingest.flow()
    object_id = ingest.allocated(flow_id)
    parts = [
        {"object_id": object_id, "timerange": seconds(at, at + 1), "ts_offset": f"{at}:0"}
        for at in range(3)
    ]
    ingest.add_many(flow_id, parts)

    for at, status in ((0, 200), (2, 200), (1, 404)):
        query = {"timerange": seconds(at, at + 1)}
        assert client.delete(f"/flows/{flow_id}/segments", query=query).status == 204
        assert client.get(f"/objects/{object_id}").status == status


def test_six_mebibytes_of_segments_go_in_at_once(client: Client, ingest: Ingest) -> None:
    """B23: an edit by reference may post some 60 000 segments; here with long ids, fewer."""
    flow_id = ingest.flow()
    object_id = "o" * 1000
    ingest.register(flow_id, ingest.allocated(flow_id, object_ids=[object_id]), "[0:0_1:0)")
    edit = ingest.flow()
    segments = [
        {"object_id": object_id, "timerange": seconds(at, at + 1), "ts_offset": f"{at}:0"}
        for at in range(6000)
    ]

    ingest.add_many(edit, segments)

    document = ingest.document(edit, {"include_timerange": "true"})
    assert document["timerange"] == "[0:0_6000:0)"


def test_an_item_that_contradicts_an_earlier_one_of_the_list_fails(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-13, R-SEG-16, R-SEG-25: the same place and object, but another object property."""
    flow_id = ingest.flow()
    segment = external("[0:0_1:0)", key_frame_count=2)
    different = {**segment, "key_frame_count": 3}

    answer = client.post(f"/flows/{flow_id}/segments", json=[segment, different])

    assert answer.status == 200
    assert len(answer.json["failed_segments"]) == 1
    assert ingest.segments(flow_id)[0]["key_frame_count"] == 2
