"""/flows: created, replaced, read, deleted (R-FLW)."""

import itertools
import uuid
from typing import Any

import pytest

from tams_gateway.testing.client import Client, quoted
from tams_gateway.testing.samples import MALFORMED, TECHNICAL, UNKNOWN, flow, new_id, segment
from tests.deployments import Clock, by_form

PLANAR = {"unc_parameters": {"unc_type": "planar"}}


def put(client: Client, kind: str = "video", **members: Any) -> dict[str, Any]:
    document = flow(kind, **members)
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status in (201, 204), answer.body
    return document


def shown(client: Client, document: dict[str, Any], query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/flows/{document['id']}", query=query).json
    return found


def add(client: Client, document: dict[str, Any], *timeranges: str) -> None:
    segments = [segment(one) for one in timeranges]
    answer = client.post(f"/flows/{document['id']}/segments", json=segments)
    assert answer.status == 201, answer.body


@pytest.mark.parametrize("kind", ["video", "audio", "image", "data", "multi"])
def test_a_new_flow_is_created_and_shown(client: Client, clock: Clock, kind: str) -> None:
    """R-FLW-01, R-FLW-07, R-FLW-17, B9: 201 with the document, times in whole seconds."""
    clock.advance(1_000_000_000 - clock() / 1e9)
    document = flow(kind, label="a", description="b", tags={"x": "y"}, generation=0)

    answer = client.put(f"/flows/{document['id']}", json=document)

    assert answer.status == 201
    version = answer.json["metadata_version"]
    assert answer.json == {
        **document,
        "created": "2001-09-09T01:46:40Z",
        "metadata_updated": "2001-09-09T01:46:40Z",
        "metadata_version": version,
    }
    assert shown(client, document) == answer.json
    assert client.get("/flows").json == [answer.json]


def test_the_location_of_a_new_flow_is_its_url(client: Client) -> None:
    """G-23, B1."""
    document = flow()

    answer = client.put(f"/flows/{document['id']}", json=document)

    assert answer.headers["Location"] == f"{client.base}/flows/{document['id']}"


def test_a_known_flow_is_replaced_as_a_whole(client: Client, clock: Clock) -> None:
    """R-FLW-01, R-FLW-03, R-FLW-05: 204 without body; what is not sent is unset."""
    document = put(client, label="a", description="b", tags={"x": "y"}, max_bit_rate=5)
    created = shown(client, document)
    clock.advance(60)
    plain = flow(id=document["id"], source_id=document["source_id"], tags={"z": "1"})

    answer = client.put(f"/flows/{document['id']}", json=plain)

    assert (answer.status, answer.body) == (204, b"")
    replaced = shown(client, document)
    assert replaced["created"] == created["created"]
    assert replaced["metadata_updated"] > created["metadata_updated"]
    assert replaced["metadata_version"] != created["metadata_version"]
    assert plain.items() <= replaced.items()
    assert not {"label", "description", "max_bit_rate"} & set(replaced)


def test_absent_tags_clear_the_map(client: Client) -> None:
    """R-FLW-03: tags are replaced, never merged."""
    document = put(client, tags={"x": "y"})
    plain = {name: value for name, value in document.items() if name != "tags"}

    client.put(f"/flows/{document['id']}", json=plain)

    assert client.get(f"/flows/{document['id']}/tags").json == {}


@by_form
@pytest.mark.parametrize("name", ["id", "source_id", "format", "codec", "essence_parameters"])
def test_a_flow_without_a_required_member_is_refused(client: Client, name: str) -> None:
    """R-FLW-02, R-FLW-07."""
    document = flow()
    sent = {key: value for key, value in document.items() if key != name}

    answer = client.put(f"/flows/{document['id']}", json=sent)

    assert answer.status == 400
    assert name in answer.json["summary"]
    assert client.get("/flows").json == []
    assert client.get("/sources").json == []


def test_the_ids_of_path_and_body_are_the_same(client: Client) -> None:
    """R-FLW-02."""
    assert client.put(f"/flows/{new_id()}", json=flow()).status == 400


@by_form
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff", b"{}{}"])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    """R-GEN-03, R-FLW-02."""
    assert client.put(f"/flows/{new_id()}", body=body).status == 400


@by_form
@pytest.mark.parametrize("flow_id", [UNKNOWN, *(quoted(one) for one in MALFORMED)])
@pytest.mark.parametrize(
    "child", ["", "/tags", "/tags/a", "/label", "/read_only", "/flow_collection", "/max_bit_rate"]
)
def test_an_unknown_or_malformed_flow_is_not_found(
    client: Client, flow_id: str, child: str
) -> None:
    """R-GEN-04, R-GEN-05, R-FLW-23."""
    path = f"/flows/{flow_id}{child}"

    assert client.get(path).status == 404
    assert client.head(path).status == 404
    if child not in ("/tags", "/read_only"):
        assert client.delete(path).status == 404


@by_form
@pytest.mark.parametrize("flow_id", MALFORMED)
def test_a_malformed_flow_id_in_a_put_is_not_found(client: Client, flow_id: str) -> None:
    """R-GEN-05: the path is judged before the body."""
    assert client.put(f"/flows/{quoted(flow_id)}", json=flow(id=flow_id)).status == 404


@by_form
@pytest.mark.parametrize("source_id", [*MALFORMED, "", None, 5])
def test_a_malformed_source_id_in_the_body_is_refused(client: Client, source_id: object) -> None:
    """R-GEN-05, R-TIME-12: 400, a trailing newline too."""
    document = {**flow(), "source_id": source_id}

    assert client.put(f"/flows/{document['id']}", json=document).status == 400


@by_form
@pytest.mark.parametrize(
    ("kind", "essence"),
    [
        ("video", {"frame_width": 16, "frame_height": 9}),
        ("video", {"frame_width": 16, "frame_rate": {"numerator": 25}}),
        ("video", {"frame_width": 16, "frame_height": 9, "vfr": False}),
        (
            "video",
            {"frame_width": 16, "frame_height": 9, "vfr": True, "frame_rate": {"numerator": 1}},
        ),
        ("video", {"frame_width": 0, "frame_height": 9, "vfr": True}),
        ("video", {"frame_width": "16", "frame_height": 9, "vfr": True}),
        ("video", {"frame_width": 16, "frame_height": 9, "vfr": True, "colour": "red"}),
        ("video", {"frame_width": 16, "frame_height": 9, "vfr": True, "colorspace": "x"}),
        ("video", {"frame_width": 16, "frame_height": 9, "vfr": True, "init_segments": 1}),
        ("audio", {"sample_rate": 48000}),
        ("audio", {"channels": 2}),
        ("audio", {"channels": 2, "sample_rate": 48000, "frame_width": 5}),
        ("audio", {"channels": 2, "sample_rate": "48000"}),
        ("image", {"frame_width": 16}),
        ("image", {"frame_width": 16, "frame_height": 9, "init_segments": False}),
        ("data", {"frame_width": 16}),
        ("data", None),
        ("multi", {"frame_width": 16}),
    ],
)
def test_faulty_essence_parameters_are_refused(
    client: Client, kind: str, essence: dict[str, object] | None
) -> None:
    """R-FLW-07, R-FLW-08, R-GEN-08: required, exclusive, of their type, none unknown."""
    document = {**flow(kind), "essence_parameters": essence}

    assert client.put(f"/flows/{document['id']}", json=document).status == 400


@pytest.mark.parametrize(
    ("kind", "essence"),
    [
        ("video", {"frame_width": 16, "frame_height": 9, "vfr": True}),
        (
            "video",
            {"frame_width": 16, "frame_height": 9, "vfr": False, "frame_rate": {"numerator": 1}},
        ),
        ("data", {}),
        ("multi", {"init_segments": True}),
        ("audio", {"channels": 2, "sample_rate": 48000, "init_segments": False}),
    ],
)
def test_legal_essence_parameters_are_kept(
    client: Client, kind: str, essence: dict[str, object]
) -> None:
    """R-FLW-07, R-FLW-08, B31."""
    document = put(client, kind, essence_parameters=essence)

    assert shown(client, document)["essence_parameters"] == essence


@pytest.mark.parametrize(
    ("kind", "codec", "essence", "status"),
    [
        ("audio", "audio/x-raw-int", {}, 400),
        ("audio", "audio/x-raw-int", {"bit_depth": 24}, 400),
        ("audio", "audio/x-raw-int", {"bit_depth": 24, **PLANAR}, 201),
        ("audio", "audio/x-raw-float", {"bit_depth": 32}, 400),
        ("audio", "audio/x-raw-float", {"bit_depth": 24, **PLANAR}, 400),
        ("audio", "audio/x-raw-float", {"bit_depth": 32, **PLANAR}, 201),
        ("audio", "audio/x-raw-float", {"bit_depth": 64, **PLANAR}, 201),
        ("video", "video/raw", {}, 400),
        ("video", "video/raw", {"bit_depth": 8}, 400),
        ("video", "video/raw", {"bit_depth": 8, "unc_parameters": {"unc_type": "RGB"}}, 201),
        ("video", "video/raw", {"bit_depth": 8, "unc_parameters": {"unc_type": "v210"}}, 400),
    ],
)
def test_uncompressed_essence_says_how_it_is_packed(
    client: Client, kind: str, codec: str, essence: dict[str, object], status: int
) -> None:
    """R-FLW-09."""
    whole = {**TECHNICAL[kind]["essence_parameters"], **essence}
    document = flow(kind, codec=codec, essence_parameters=whole)

    assert client.put(f"/flows/{document['id']}", json=document).status == status


def test_a_body_of_get_can_be_put(client: Client) -> None:
    """R-FLW-04, B10: what the server owns is ignored, not refused."""
    document = put(client, label="a")
    add(client, document, "[0:0_1:0)")
    read = shown(client, document, "include_timerange=true")
    assert read["timerange"] == "[0:0_1:0)"
    assert "segments_updated" in read

    assert client.put(f"/flows/{document['id']}", json=read).status == 204
    assert shown(client, document, "include_timerange=true") == read
    other = {**read, "id": new_id(), "source_id": new_id(), "collected_by": [UNKNOWN]}
    assert client.put(f"/flows/{other['id']}", json=other).status == 201
    copied = shown(client, other, "include_timerange=true")
    assert copied["timerange"] == "()"
    assert not {"collected_by", "segments_updated"} & set(copied)


@by_form
@pytest.mark.parametrize(
    "member",
    [
        {"created": "yesterday"},
        {"metadata_updated": "2020-01-01T00:00:00"},
        {"segments_updated": 5},
        {"timerange": "0-1"},
        {"collected_by": ["x"]},
        {"collected_by": "x"},
    ],
)
def test_what_is_ignored_must_be_well_formed(client: Client, member: dict[str, object]) -> None:
    """R-FLW-04, R-GEN-07."""
    document = {**flow(), **member}

    assert client.put(f"/flows/{document['id']}", json=document).status == 400


@by_form
@pytest.mark.parametrize(
    "member",
    [
        {"label": 5},
        {"label": None},
        {"description": []},
        {"tags": []},
        {"tags": {"a": 1}},
        {"tags": {"a": [1]}},
        {"tags": {"a": None}},
        {"status": "done"},
        {"status": ""},
        {"read_only": "true"},
        {"read_only": 1},
        {"generation": -1},
        {"generation": "1"},
        {"generation": True},
        {"max_bit_rate": -1},
        {"max_bit_rate": 5.5},
        {"avg_bit_rate": True},
        {"codec": "h264"},
        {"codec": "a b/c"},
        {"container": "mp4"},
        {"format": "video"},
        {"segment_duration": 5},
        {"segment_duration": {"numerator": 0, "denominator": 1}},
        {"metadata_version": 5},
        {"flow_collection": {}},
        {"flow_collection": [5]},
        {"container_mapping": []},
    ],
)
def test_a_member_of_the_wrong_form_is_refused(client: Client, member: dict[str, object]) -> None:
    """R-FLW-02, R-FLW-15: the summary names it."""
    document = {**flow(), **member}

    answer = client.put(f"/flows/{document['id']}", json=document)

    assert answer.status == 400
    assert next(iter(member)) in answer.json["summary"]


def test_a_flow_shows_every_value_as_it_was_sent(client: Client) -> None:
    """B31, R-GEN-08, R-GEN-11: value by value, no member added, unknown ones dropped."""
    text = '\u0000 \\ " ünï \U0001f3ac'
    sent = put(
        client,
        label=text,
        description="",
        tags={text: text, "": [], "list": ["b", "a", "b"]},
        generation=0,
        max_bit_rate=2**53,
        avg_bit_rate=0,
        read_only=False,
        status="awaiting_content",
        created_by="me",
        updated_by="you",
        segment_duration={"numerator": 1001, "denominator": 30000},
        container_mapping={"track_index": 0, "mp2ts_container": {"pid": 256}},
        unknown={"a": 1},
    )
    del sent["unknown"]

    read = shown(client, sent)

    own = {"created", "metadata_updated", "metadata_version"}
    assert {name: value for name, value in read.items() if name not in own} == sent


def test_a_version_is_the_clients_until_something_changes(client: Client) -> None:
    """R-FLW-06: kept at the creation; a change with the same or none makes a new one."""
    document = put(client, metadata_version="mine")
    assert shown(client, document)["metadata_version"] == "mine"

    client.put(f"/flows/{document['id']}", json={**document, "label": "a"})
    second = shown(client, document)["metadata_version"]
    client.put(f"/flows/{document['id']}/label", json="b")
    third = shown(client, document)["metadata_version"]

    assert len({"mine", second, third}) == 3


def test_segments_are_no_change_of_the_metadata(client: Client, clock: Clock) -> None:
    """R-FLW-05, R-FLW-06, R-SEG-29."""
    document = put(client)
    before = shown(client, document)
    clock.advance(60)
    add(client, document, "[0:0_1:0)")

    after = shown(client, document)

    assert "segments_updated" not in before
    assert after.pop("segments_updated") > before["metadata_updated"]
    assert after == before


def test_a_put_that_changes_nothing_changes_nothing(client: Client, clock: Clock) -> None:
    """G-16: 204, and no new version or time."""
    document = put(client, label="a", tags={"x": ["y"]})
    before = shown(client, document)
    clock.advance(60)

    assert client.put(f"/flows/{document['id']}", json=document).status == 204
    assert shown(client, document) == before


def test_a_client_may_give_a_new_version(client: Client) -> None:
    """R-FLW-06."""
    document = put(client, metadata_version="one")

    client.put(f"/flows/{document['id']}", json={**document, "metadata_version": "two"})

    assert shown(client, document)["metadata_version"] == "two"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source_id", "fresh"),
        ("codec", "video/h265"),
        ("container", "video/mp4"),
        ("generation", 2),
    ],
)
def test_what_is_set_once_is_corrected_while_there_are_no_segments(
    client: Client, name: str, value: object
) -> None:
    """R-FLW-11."""
    document = put(client, generation=1)
    changed = {**document, name: new_id() if value == "fresh" else value}

    assert client.put(f"/flows/{document['id']}", json=changed).status == 204
    add(client, document, "[0:0_1:0)")
    assert client.put(f"/flows/{document['id']}", json=document).status == 400
    assert shown(client, document)[name] == changed[name]


def test_a_read_only_flow_refuses_every_change(client: Client) -> None:
    """R-FLW-12, R-FLW-14: 403, also where only `read_only` would change."""
    document = put(client, label="a", tags={"x": "y"}, read_only=True)
    path = f"/flows/{document['id']}"
    before = shown(client, document)

    statuses = {
        client.put(path, json={**document, "label": "b"}).status,
        client.put(path, json={**document, "read_only": False}).status,
        client.delete(path).status,
        client.post(f"{path}/segments", json=segment("[0:0_1:0)")).status,
        client.delete(f"{path}/segments").status,
        client.post(f"{path}/storage", json={}).status,
        client.put(f"{path}/tags/x", json="z").status,
        client.delete(f"{path}/tags/x").status,
        client.put(f"{path}/flow_collection", json=[]).status,
        client.delete(f"{path}/flow_collection").status,
    }
    for name, value in {
        "label": "b",
        "description": "b",
        "max_bit_rate": 1,
        "avg_bit_rate": 1,
    }.items():
        statuses.add(client.put(f"{path}/{name}", json=value).status)
        statuses.add(client.delete(f"{path}/{name}").status)

    assert statuses == {403}
    assert shown(client, document) == before


def test_read_only_is_taken_back_by_its_own_path(client: Client, clock: Clock) -> None:
    """R-FLW-13."""
    document = put(client, read_only=True)
    path = f"/flows/{document['id']}"
    before = shown(client, document)
    clock.advance(60)

    assert client.put(f"{path}/read_only", json=False).status == 204
    after = shown(client, document)
    assert after["read_only"] is False
    assert after["metadata_updated"] > before["metadata_updated"]
    assert client.put(f"{path}/label", json="b").status == 204
    assert client.put(f"{path}/read_only", json=True).status == 204
    assert client.put(f"{path}/label", json="c").status == 403


def test_a_read_only_flow_may_be_collected(client: Client) -> None:
    """R-FLW-12: the client does not write to it."""
    member = put(client, read_only=True)
    whole = put(client, "multi", flow_collection=[{"id": member["id"]}])

    assert shown(client, member)["collected_by"] == [whole["id"]]


def test_a_broken_body_is_told_before_a_read_only_flow(client: Client) -> None:
    """Refusals come in order: 404 (path), 400 (body), 403 (read-only), 400 (rules)."""
    document = put(client, read_only=True)
    path = f"/flows/{document['id']}"

    assert client.put(path, body=b"{").status == 400
    assert client.put(path, json={**document, "flow_collection": [{"id": UNKNOWN}]}).status == 403
    assert client.put(f"{path}/label", json=5).status == 400


def test_any_status_follows_any_other(client: Client) -> None:
    """R-FLW-15: also none; and it gates nothing."""
    statuses = [
        "closed_complete",
        "awaiting_content",
        None,
        "replication_in_progress",
        "ingesting",
        "closed_complete",
    ]
    document = put(client)
    for status in statuses:
        sent = {**document, "status": status} if status else document
        assert client.put(f"/flows/{document['id']}", json=sent).status == 204
        assert shown(client, document).get("status") == status
    add(client, document, "[0:0_1:0)")


def test_a_flow_shows_its_timerange_only_when_asked(client: Client) -> None:
    """R-FLW-17."""
    document = put(client)
    add(client, document, "[0:0_1:0)")

    assert "timerange" not in shown(client, document)
    assert "timerange" not in shown(client, document, "include_timerange=false")
    assert "timerange" not in shown(client, document, "timerange=[0:0_1:0)")
    assert "timerange" not in client.get("/flows").json[0]
    assert shown(client, document, "include_timerange=true")["timerange"] == "[0:0_1:0)"


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([], "()"),
        (["[0:0_1:0)"], "[0:0_1:0)"),
        (["[5:0_6:0)", "[0:0_1:0)"], "[0:0_6:0)"),
        (["[0:0_60:0]"], "[0:0_60:0]"),
        (["[2:0]"], "[2:0_2:0]"),
        (["[-1:500000000_0:1)", "[7:0_8:0]"], "[-1:500000000_8:0]"),
    ],
)
def test_a_timerange_spans_the_segments(client: Client, segments: list[str], expected: str) -> None:
    """R-FLW-18, B15, R-TIME-05: gaps included, both bounds, the marks of the segments."""
    document = put(client)
    if segments:
        add(client, document, *segments)

    assert shown(client, document, "include_timerange=true")["timerange"] == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_", "[0:0_30:0]"),
        ("[5:0_25:0)", "[5:0_25:0)"),
        ("(5:0_25:0]", "(5:0_25:0]"),
        ("[-5:0_5:0]", "[0:0_5:0]"),
        ("[5:0_99999999999:0)", "[5:0_30:0]"),
        ("[12:0_18:0)", "()"),
        ("[30:0_40:0)", "[30:0_30:0]"),
        ("[31:0_40:0)", "()"),
        ("()", "()"),
        ("", "()"),
        ("5:0_", "[5:0_30:0]"),
        ("_5:0)", "[0:0_5:0)"),
        ("[5:0]", "[5:0_5:0]"),
        ("[10:0_20:0)", "()"),
    ],
)
def test_a_timerange_is_clipped_to_the_query(client: Client, query: str, expected: str) -> None:
    """R-FLW-18, G-07, B16: where segments overlap it; a gap at its edge is left out."""
    document = put(client)
    add(client, document, "[0:0_10:0)", "[20:0_30:0]")

    read = shown(client, document, f"include_timerange=true&timerange={query}")

    assert read["timerange"] == expected


@by_form
@pytest.mark.parametrize(
    "query", ["timerange=x", "timerange=[0:0", "include_timerange=", "include_timerange=1"]
)
def test_a_bad_query_for_a_flow_is_refused(client: Client, query: str) -> None:
    """R-PAGE-19, R-PAGE-20, R-GEN-02; `[0:0` is legal and means an instant."""
    document = put(client)
    expected = 200 if query == "timerange=[0:0" else 400

    assert client.get(f"/flows/{document['id']}?{query}").status == expected
    assert client.head(f"/flows/{document['id']}?{query}").status == expected


def test_a_deleted_flow_is_gone_and_its_id_is_free(client: Client) -> None:
    """R-FLW-23, R-FLW-25."""
    document = put(client, label="a")
    path = f"/flows/{document['id']}"
    add(client, document, "[0:0_1:0)")
    first = shown(client, document)["metadata_version"]

    assert client.delete(path).status == 204
    assert client.get(path).status == 404
    assert client.delete(path).status == 404
    assert client.get(f"{path}/segments").json == []
    assert client.put(path, json=document).status == 201
    again = shown(client, document, "include_timerange=true")
    assert again["timerange"] == "()"
    assert again["metadata_version"] != first
    assert "segments_updated" not in again


def test_an_object_goes_with_the_last_flow_that_uses_it(client: Client) -> None:
    """R-FLW-24."""
    first, second = put(client), put(client)
    one = segment("[0:0_1:0)", "shared")
    reused = {"object_id": "shared", "timerange": "[0:0_1:0)"}
    assert client.post(f"/flows/{first['id']}/segments", json=one).status == 201
    assert client.post(f"/flows/{second['id']}/segments", json=reused).status == 201

    client.delete(f"/flows/{first['id']}")
    assert client.get("/objects/shared").json["referenced_by_flows"] == [second["id"]]
    client.delete(f"/flows/{second['id']}")
    assert client.get("/objects/shared").status == 404


@pytest.mark.config(limits={"async_deletion_threshold": 2})
def test_a_long_deletion_is_accepted_and_told_of(client: Client) -> None:
    """R-FLW-23, R-DEL-01, R-DEL-02, G-14: 202, and the flow is gone at once."""
    document = put(client)
    path = f"/flows/{document['id']}"
    add(client, document, *(f"[{number}:0_{number + 1}:0)" for number in range(5)))

    answer = client.delete(path)

    assert answer.status == 202
    assert answer.json["flow_id"] == document["id"]
    assert answer.json["delete_flow"] is True
    location = f"{client.base}/flow-delete-requests/{answer.json['id']}"
    assert answer.headers["Location"] == location
    assert uuid.UUID(answer.json["id"]).version in range(1, 6)
    assert client.get(location).json["flow_id"] == document["id"]
    assert client.get(path).status == 404
    assert client.get(f"{path}/segments").json == []
    assert client.put(path, json=document).status == 201
    assert client.get(f"{path}/segments").json == []


def test_a_deleted_member_leaves_its_collections(client: Client, clock: Clock) -> None:
    """R-FLW-27, G-12: dropped, and the collecting flow is bumped."""
    video, audio = put(client), put(client, "audio")
    members = [{"id": video["id"]}, {"id": audio["id"], "role": "sound"}]
    whole = put(client, "multi", flow_collection=members)
    before = shown(client, whole)
    clock.advance(60)

    assert client.delete(f"/flows/{video['id']}").status == 204
    after = shown(client, whole)
    assert after["flow_collection"] == [{"id": audio["id"], "role": "sound"}]
    assert after["metadata_version"] != before["metadata_version"]
    assert after["metadata_updated"] > before["metadata_updated"]


def test_a_member_forgets_a_deleted_collector(client: Client) -> None:
    """R-FLW-26: `collected_by` is derived."""
    video = put(client)
    first = put(client, "multi", flow_collection=[{"id": video["id"]}])
    second = put(client, "multi", flow_collection=[{"id": video["id"]}])
    assert set(shown(client, video)["collected_by"]) == {first["id"], second["id"]}

    client.delete(f"/flows/{first['id']}")
    assert shown(client, video)["collected_by"] == [second["id"]]
    client.delete(f"/flows/{second['id']}")
    assert "collected_by" not in shown(client, video)


def test_a_flow_without_container_has_no_segments(client: Client) -> None:
    """R-FLW-10, R-SEG-14: 400, on POST of segments and of storage."""
    document = put(client, container=None)
    path = f"/flows/{document['id']}"

    assert client.post(f"{path}/segments", json=segment("[0:0_1:0)")).status == 400
    assert client.post(f"{path}/storage", json={}).status == 400
    assert client.get(f"{path}/segments").json == []


def test_an_unknown_flow_has_no_segments_but_takes_none(client: Client) -> None:
    """R-SEG-01, R-SEG-14, R-SEG-35: GET 200 `[]`, POST and DELETE 404."""
    path = f"/flows/{UNKNOWN}/segments"

    assert client.get(path).json == []
    assert client.head(path).status == 200
    assert client.post(path, json=segment("[0:0_1:0)")).status == 404
    assert client.delete(path).status == 404
    assert client.get("/flows/no-uuid/segments").status == 404


def test_a_blank_timerange_deletes_nothing(client: Client) -> None:
    """R-TIME-09: blank is the empty range, not an absent parameter."""
    document = put(client)
    path = f"/flows/{document['id']}/segments"
    add(client, document, "[0:0_1:0)")

    assert client.delete(f"{path}?timerange=").status == 204
    assert len(client.get(path).json) == 1
    assert client.get(f"{path}?timerange=").json == []
    assert client.delete(path).status == 204
    assert client.get(path).json == []


def test_an_external_worker_finds_what_retention_needs(client: Client) -> None:
    """R-RET-02: by tag, empty ones, the last segment, and all before an instant."""
    kept, other = put(client, tags={"segment_retention_offset": "60:0"}), put(client)
    path = f"/flows/{kept['id']}/segments"
    add(client, kept, *(f"[{start}:0_{start + 1}:0)" for start in range(4)))

    tagged = client.get("/flows", query={"tag_exists.segment_retention_offset": True}).json
    assert [one["id"] for one in tagged] == [kept["id"]]
    assert [one["id"] for one in client.get("/flows?timerange=()").json] == [other["id"]]
    last = client.get(f"{path}?reverse_order=true&limit=1").json
    assert [one["timerange"] for one in last] == ["[3:0_4:0)"]
    assert client.delete(f"{path}?timerange=_2:0)").status == 204
    left = [one["timerange"] for one in client.get(path).json]
    assert left == ["[2:0_3:0)", "[3:0_4:0)"]


def test_a_tag_for_transcoding_does_nothing(client: Client) -> None:
    """R-RET-03, B33: tags are the clients' words, and stay as they are."""
    tags = {"trigger_transcode": "x", "flow_status": "ingesting", "hls_exclude": "true"}
    document = put(client, tags=tags)

    assert shown(client, document)["tags"] == tags


def test_ids_of_all_legal_versions_are_taken(client: Client) -> None:
    """R-GEN-04: versions 1 to 5."""
    for version, variant in itertools.product("12345", "89ab"):
        put(client, id=f"12345678-1234-{version}234-{variant}234-123456789abc")
    assert len(client.listed("/flows")) == 20
