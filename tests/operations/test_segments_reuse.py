"""Objects that segments register and reuse (R-SEG-20 to -28, R-OBJ)."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import segment as external


def test_only_the_flow_that_allocated_an_object_registers_it(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-20: ownership applies once; afterwards any flow may reuse it."""
    owner, other = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(owner)
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}

    assert client.post(f"/flows/{other}/segments", json=segment).status == 400
    assert client.get(f"/objects/{object_id}").status == 404
    ingest.register(owner, object_id, "[0:0_1:0)")
    ingest.register(other, object_id, "[0:0_1:0)")

    assert ingest.media_object(object_id)["first_referenced_by_flow"] == owner


def test_an_allocated_object_is_not_taken_over_by_urls(client: Client, ingest: Ingest) -> None:
    """R-SEG-20: with `get_urls` another flow cannot register it either."""
    owner, other = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(owner)

    answer = client.post(f"/flows/{other}/segments", json=external("[0:0_1:0)", object_id))

    assert answer.status == 400


def test_an_unknown_object_needs_urls(client: Client, ingest: Ingest) -> None:
    """R-SEG-21."""
    flow_id = ingest.flow()
    segment: dict[str, Any] = {"object_id": "nowhere", "timerange": "[0:0_1:0)"}

    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400
    segment["get_urls"] = []
    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400
    assert client.get("/objects/nowhere").status == 404


def test_an_external_object_is_an_uncontrolled_instance(ingest: Ingest) -> None:
    """R-SEG-21, R-SEG-22, R-URL-07: stored as it was given, `controlled` false."""
    flow_id = ingest.flow()
    urls = [
        {"label": "first", "url": "https://example.com/1?a=b&c=d"},
        {"label": "other", "url": "s3://bucket/key"},
    ]
    object_id = ingest.add(flow_id, "[0:0_1:0)", get_urls=urls)

    shown = ingest.media_object(object_id, {"verbose_storage": "true"})["get_urls"]

    assert [{"label": one["label"], "url": one["url"]} for one in shown] == urls
    assert [one["controlled"] for one in shown] == [False, False]
    assert all("storage_id" not in one for one in shown)


def test_labels_of_backends_and_double_labels_are_refused(client: Client, ingest: Ingest) -> None:
    """R-SEG-22, R-STB-05."""
    flow_id = ingest.flow()
    reserved = ingest.storage_backends()[0]["label"]
    url = "https://example.com/a"

    for labels in ([reserved], ["one", "one"]):
        urls = [{"label": label, "url": url} for label in labels]
        segment = external("[0:0_1:0)", get_urls=urls)
        assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400
    assert ingest.segments(flow_id) == []


def test_reuse_ignores_equal_urls_and_refuses_new_ones(client: Client, ingest: Ingest) -> None:
    """R-SEG-23, G-17: URLs belong to the object; `/instances` adds one."""
    first, second = ingest.flow(), ingest.flow()
    segment = external("[0:0_1:0)")
    ingest.add_many(first, [segment])
    new = {"label": "new", "url": "https://example.com/new"}
    other = {"label": "elsewhere", "url": "https://example.com/other"}

    for urls in ([*segment["get_urls"], new], [new], [other]):
        body = {**segment, "get_urls": urls}
        assert client.post(f"/flows/{second}/segments", json=body).status == 400
    ingest.add_many(second, [segment])

    assert ingest.segments(second)[0]["get_urls"] == segment["get_urls"]


def test_the_first_registration_fixes_the_objects_timerange(client: Client, ingest: Ingest) -> None:
    """R-SEG-24: `timerange - ts_offset`, with its marks; never changed later."""
    flow_id = ingest.flow()
    object_id = ingest.allocated(flow_id)
    ingest.register(flow_id, object_id, "[100:0_110:0]", ts_offset="90:0")
    ingest.register(flow_id, object_id, "[0:0_1:0)", ts_offset="-10:0")

    assert ingest.media_object(object_id)["timerange"] == "[10:0_20:0]"


def test_a_given_object_timerange_stays(ingest: Ingest) -> None:
    """R-SEG-24: it may be larger than the first segment's part."""
    flow_id = ingest.flow()
    object_id = ingest.allocated(flow_id)
    ingest.register(flow_id, object_id, "[5:0_6:0)", object_timerange="[0:0_10:0)")
    ingest.register(flow_id, object_id, "[6:0_10:0)")

    assert ingest.media_object(object_id)["timerange"] == "[0:0_10:0)"


@pytest.mark.parametrize(
    ("timerange", "ts_offset", "fits"),
    [
        ("[10:0_20:0)", "0:0", True),
        ("[10:0_20:0]", "0:0", False),
        ("[12:0_13:0]", "0:0", True),
        ("[9:999999999_11:0)", "0:0", False),
        ("[0:0_10:0)", "-10:0", True),
        ("[0:0_10:1)", "-10:0", False),
        ("[30:0_31:0)", "20:0", True),
        ("[30:0_31:0)", "20:1", False),
        ("[19:999999999]", "0:0", True),
        ("[20:0]", "0:0", False),
        ("[-5:0_-4:0)", "-16:500000000", True),
    ],
)
def test_a_part_lies_within_the_object(
    client: Client, ingest: Ingest, timerange: str, ts_offset: str, fits: bool
) -> None:
    """R-SEG-26: on the object's timeline, entirely, and marks count."""
    owner, flow_id = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(owner)
    ingest.register(owner, object_id, "[10:0_20:0)")
    segment = {"object_id": object_id, "timerange": timerange, "ts_offset": ts_offset}

    answer = client.post(f"/flows/{flow_id}/segments", json=segment)

    assert answer.status == (201 if fits else 400)


def test_the_first_part_has_to_lie_within_a_given_object_timerange(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-26."""
    flow_id = ingest.flow()
    segment = external("[0:0_10:0]", object_timerange="[0:0_10:0)")

    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400
    assert client.get(f"/objects/{segment['object_id']}").status == 404


@pytest.mark.parametrize(
    ("members", "fits"),
    [
        ({}, True),
        ({"key_frame_count": 2, "object_timerange": "[0:0_10:0)"}, True),
        ({"object_timerange": "0:0_10:0)"}, True),
        ({"key_frame_count": 3}, False),
        ({"object_timerange": "[0:0_10:0]"}, False),
        ({"init_object_id": "any"}, False),
    ],
)
def test_reuse_does_not_change_the_objects_properties(
    client: Client, ingest: Ingest, members: dict[str, object], fits: bool
) -> None:
    """R-SEG-25, R-OBJ-06: equal or absent is fine, different is refused."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(first)
    ingest.register(first, object_id, "[0:0_10:0)", key_frame_count=2)
    segment = {"object_id": object_id, "timerange": "[0:0_10:0)", **members}

    answer = client.post(f"/flows/{second}/segments", json=segment)

    assert answer.status == (201 if fits else 400)
    if fits:
        assert ingest.segments(second)[0]["key_frame_count"] == 2


def test_a_key_frame_count_is_not_added_later(client: Client, ingest: Ingest) -> None:
    """R-SEG-25: unset is a value of the object's, too."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.add(first, "[0:0_10:0)")
    segment = {"object_id": object_id, "timerange": "[0:0_10:0)", "key_frame_count": 2}

    assert client.post(f"/flows/{second}/segments", json=segment).status == 400


def test_an_object_fits_flows_of_its_container_only(client: Client, ingest: Ingest) -> None:
    """R-SEG-27: the recorded content type is the container's."""
    transport_stream = ingest.flow()
    mp4 = ingest.flow(container="video/mp4")
    object_id = ingest.add(transport_stream, "[0:0_1:0)")
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}

    assert client.post(f"/flows/{mp4}/segments", json=segment).status == 400
    other_type = ingest.allocated(transport_stream, content_type="video/mp4")
    segment = {"object_id": other_type, "timerange": "[1:0_2:0)"}
    assert client.post(f"/flows/{transport_stream}/segments", json=segment).status == 400


def test_objects_of_a_read_only_flow_may_be_reused(ingest: Ingest) -> None:
    """R-FLW-12."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.add(first, "[0:0_1:0)")
    ingest.set_read_only(first, True)

    ingest.register(second, object_id, "[0:0_1:0)")

    assert ingest.timeranges(second) == ["[0:0_1:0)"]


def test_what_one_flow_adds_to_an_object_shows_in_all(client: Client, ingest: Ingest) -> None:
    """R-OBJ-06: instances belong to the object."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.add(first, "[0:0_1:0)")
    ingest.register(second, object_id, "[0:0_1:0)")
    instance = {"url": "https://example.com/more", "label": "more"}

    assert client.post(f"/objects/{object_id}/instances", json=instance).status == 201

    for flow_id in (first, second):
        labels = [url["label"] for url in ingest.segments(flow_id)[0]["get_urls"]]
        assert labels == ["elsewhere", "more"]


def test_registration_does_not_ask_whether_the_bytes_are_there(ingest: Ingest) -> None:
    """R-SEG-28: the specification does not ask for it, and it is off by default."""
    flow_id = ingest.flow()

    ingest.register(flow_id, ingest.allocated(flow_id), "[0:0_1:0)")

    assert len(ingest.segments(flow_id)) == 1


def test_a_refused_segment_leaves_its_allocation_as_it_was(client: Client, ingest: Ingest) -> None:
    """R-SEG-20: after an overlap the same object can still be registered elsewhere in time."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)")
    object_id = ingest.allocated(flow_id)
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}

    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400
    assert client.get(f"/objects/{object_id}").status == 404
    ingest.register(flow_id, object_id, "[1:0_2:0)")

    assert ingest.media_object(object_id)["timerange"] == "[1:0_2:0)"
