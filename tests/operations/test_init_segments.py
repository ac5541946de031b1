"""Objects that hold initialisation segments (R-SEG-08, -30 to -33, R-OBJ-09)."""

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest


def registered(ingest: Ingest) -> tuple[str, str, str]:
    """Return a flow with one segment, its media object and its init object."""
    flow_id = ingest.init_flow()
    init_id = ingest.allocated(flow_id, content_type="video/mp4")
    object_id = ingest.allocated(flow_id)
    ingest.register(flow_id, object_id, "[0:0_1:0)", init_object_id=init_id)
    return flow_id, object_id, init_id


def test_a_segment_and_an_object_show_the_init_object(ingest: Ingest) -> None:
    """R-SEG-08, R-SEG-32: `object_id` in one, `id` in the other; both closed."""
    flow_id, object_id, init_id = registered(ingest)

    segment = ingest.segments(flow_id)[0]
    shown = ingest.media_object(object_id)

    assert set(segment["init_object"]) == {"object_id", "get_urls"}
    assert segment["init_object"]["object_id"] == init_id
    assert "init_object_id" not in segment
    assert set(shown["init_object"]) == {"id", "get_urls"}
    assert shown["init_object"]["id"] == init_id
    assert len(segment["init_object"]["get_urls"]) == 2


def test_an_init_object_is_an_object_without_timerange(ingest: Ingest) -> None:
    """R-OBJ-01, R-OBJ-03: referred to through its media objects."""
    flow_id, object_id, init_id = registered(ingest)
    other = ingest.init_flow()
    ingest.register(other, object_id, "[5:0_6:0)", ts_offset="5:0")

    shown = ingest.media_object(init_id)

    assert shown["id"] == init_id
    assert shown["referenced_by_flows"] == sorted([flow_id, other])
    assert shown["first_referenced_by_flow"] == flow_id
    assert len(shown["get_urls"]) == 2
    assert {"timerange", "init_object", "key_frame_count"}.isdisjoint(shown)


def test_an_init_object_is_invisible_until_a_segment_names_it(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-32, R-STO-11."""
    flow_id = ingest.init_flow()
    init_id = ingest.allocated(flow_id, content_type="video/mp4")
    assert client.get(f"/objects/{init_id}").status == 404

    object_id = ingest.allocated(flow_id)
    ingest.register(flow_id, object_id, "[0:0_1:0)", init_object_id=init_id)

    assert client.get(f"/objects/{init_id}").status == 200


def test_a_flow_with_init_segments_needs_one_for_each_new_object(
    client: Client, ingest: Ingest
) -> None:
    """R-SEG-30."""
    flow_id = ingest.init_flow()
    segment = {"object_id": ingest.allocated(flow_id), "timerange": "[0:0_1:0)"}

    answer = client.post(f"/flows/{flow_id}/segments", json=segment)

    assert answer.status == 400
    assert "init_object_id" in answer.json["summary"]


def test_a_flow_without_init_segments_takes_none(client: Client, ingest: Ingest) -> None:
    """R-SEG-30."""
    flow_id = ingest.flow()
    segment = {
        "object_id": ingest.allocated(flow_id),
        "timerange": "[0:0_1:0)",
        "init_object_id": ingest.allocated(flow_id),
    }

    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400


def test_reuse_is_judged_by_the_stored_object(client: Client, ingest: Ingest) -> None:
    """R-SEG-25, R-SEG-30: the init object may be left out, or be the same."""
    _, object_id, init_id = registered(ingest)
    with_init = ingest.init_flow()
    without_init = ingest.flow(container="video/iso.segment")
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}

    assert client.post(f"/flows/{without_init}/segments", json=segment).status == 400
    other = {**segment, "init_object_id": "other"}
    assert client.post(f"/flows/{with_init}/segments", json=other).status == 400
    assert client.post(f"/flows/{with_init}/segments", json=segment).status == 201
    same = {**segment, "timerange": "[1:0_2:0)", "ts_offset": "1:0", "init_object_id": init_id}
    assert client.post(f"/flows/{with_init}/segments", json=same).status == 201


def test_an_object_without_init_does_not_fit_a_flow_with(client: Client, ingest: Ingest) -> None:
    """R-SEG-30."""
    plain = ingest.flow(container="video/iso.segment")
    object_id = ingest.add(plain, "[0:0_1:0)")
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}

    assert client.post(f"/flows/{ingest.init_flow()}/segments", json=segment).status == 400


def test_the_two_roles_of_an_object_exclude_each_other(client: Client, ingest: Ingest) -> None:
    """R-SEG-31."""
    flow_id, object_id, init_id = registered(ingest)
    fresh = ingest.allocated(flow_id)
    as_media = {"object_id": init_id, "timerange": "[1:0_2:0)", "init_object_id": init_id}
    as_init = {"object_id": fresh, "timerange": "[1:0_2:0)", "init_object_id": object_id}
    itself = {"object_id": fresh, "timerange": "[1:0_2:0)", "init_object_id": fresh}

    for segment in (as_media, as_init, itself):
        assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400
    assert len(ingest.segments(flow_id)) == 1


def test_the_roles_are_kept_apart_within_one_list(client: Client, ingest: Ingest) -> None:
    """R-SEG-13, R-SEG-31: what the first item makes of an object holds for the second."""
    flow_id = ingest.init_flow()
    first, second, init_id = (ingest.allocated(flow_id) for _ in range(3))
    segments = [
        {"object_id": first, "timerange": "[0:0_1:0)", "init_object_id": init_id},
        {"object_id": init_id, "timerange": "[1:0_2:0)", "init_object_id": second},
        {"object_id": second, "timerange": "[2:0_3:0)", "init_object_id": first},
        {"object_id": second, "timerange": "[3:0_4:0)", "init_object_id": init_id},
    ]

    answer = client.post(f"/flows/{flow_id}/segments", json=segments)

    assert answer.status == 200
    failed = [failure["timerange"] for failure in answer.json["failed_segments"]]
    assert failed == ["[1:0_2:0)", "[2:0_3:0)"]


def test_an_unknown_init_object_is_refused(client: Client, ingest: Ingest) -> None:
    """R-SEG-32: it has no `get_urls` of its own at registration."""
    flow_id = ingest.init_flow()
    segment = {
        "object_id": ingest.allocated(flow_id),
        "timerange": "[0:0_1:0)",
        "init_object_id": "unknown",
    }

    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400


def test_only_the_owning_flow_uses_a_fresh_init_object(client: Client, ingest: Ingest) -> None:
    """R-SEG-33: as media; once it is registered any flow may."""
    owner, other = ingest.init_flow(), ingest.init_flow()
    init_id = ingest.allocated(owner, content_type="video/mp4")
    segment = {
        "object_id": ingest.allocated(other),
        "timerange": "[0:0_1:0)",
        "init_object_id": init_id,
    }

    assert client.post(f"/flows/{other}/segments", json=segment).status == 400
    object_id = ingest.allocated(owner)
    ingest.register(owner, object_id, "[0:0_1:0)", init_object_id=init_id)
    assert client.post(f"/flows/{other}/segments", json=segment).status == 201


def test_an_init_object_goes_with_its_last_media_object(client: Client, ingest: Ingest) -> None:
    """R-OBJ-09, R-FLW-24."""
    flow_id, object_id, init_id = registered(ingest)
    second = ingest.allocated(flow_id)
    ingest.register(flow_id, second, "[1:0_2:0)", init_object_id=init_id)
    other = ingest.init_flow()
    ingest.register(other, object_id, "[0:0_1:0)")

    for path, status in (
        (f"/flows/{flow_id}/segments?timerange=[0:0_1:0)", 200),
        (f"/flows/{flow_id}/segments?timerange=[1:0_2:0)", 200),
        (f"/flows/{other}", 404),
    ):
        assert client.delete(path).status == 204
        assert client.get(f"/objects/{init_id}").status == status
    assert client.get(f"/objects/{object_id}").status == 404


def test_instances_do_not_cascade_to_the_init_object(client: Client, ingest: Ingest) -> None:
    """R-INS-04: neither on POST nor on DELETE."""
    flow_id, object_id, init_id = registered(ingest)
    instance = {"url": "https://example.com/copy", "label": "copy"}
    path = f"/objects/{object_id}/instances"

    assert client.post(path, json=instance).status == 201
    assert len(ingest.media_object(init_id)["get_urls"]) == 2
    assert client.delete(path, query={"label": "copy"}).status == 204

    assert len(ingest.segments(flow_id)[0]["init_object"]["get_urls"]) == 2


def test_an_init_object_takes_instances_of_its_own(client: Client, ingest: Ingest) -> None:
    """Init objects are objects."""
    flow_id, _, init_id = registered(ingest)
    instance = {"url": "https://example.com/init", "label": "copy"}

    assert client.post(f"/objects/{init_id}/instances", json=instance).status == 201

    urls = ingest.segments(flow_id)[0]["init_object"]["get_urls"]
    assert [url["label"] for url in urls].count("copy") == 1


def test_the_filter_of_flows_knows_init_segments(client: Client, ingest: Ingest) -> None:
    """R-FLW-21: `false` also finds flows where it is unset."""
    with_init, without = ingest.init_flow(), ingest.flow()

    found = {
        value: [flow["id"] for flow in client.listed("/flows", query={"init_segments": value})]
        for value in ("true", "false")
    }

    assert found == {"true": [with_init], "false": [without]}
