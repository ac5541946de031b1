"""/service/profiles (R-PRF), and flows that take their technical part from one."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import MALFORMED, TECHNICAL, UNKNOWN, flow, new_id, profile
from tests.deployments import Clock, by_form

PATH = "/service/profiles"


def post(client: Client, kind: str = "video", **members: Any) -> str:
    document = profile(kind, **members)
    answer = client.post(f"{PATH}/{document['id']}", json=document)
    assert answer.status == 201, answer.body
    return str(document["id"])


def linked(client: Client, profile_id: str, **members: Any) -> dict[str, Any]:
    """Put a flow on a profile and return what was sent."""
    document = {"id": new_id(), "source_id": new_id(), "profile_id": profile_id, **members}
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status == 201, answer.body
    return document


def test_a_profile_is_created_with_the_time_of_the_server(client: Client, clock: Clock) -> None:
    """R-PRF-01, R-PRF-07: the client chooses the id, the server the time."""
    clock.advance(1_000_000_000 - clock() / 1e9)
    document = profile(tags={"a": ["b", "c"]}, description="x", created="1999-01-01T00:00:00Z")

    answer = client.post(f"{PATH}/{document['id']}", json=document)

    assert answer.status == 201
    assert answer.json == {**document, "created": "2001-09-09T01:46:40Z"}
    assert answer.json == client.get(f"{PATH}/{document['id']}").json


def test_a_profile_keeps_who_made_it(client: Client) -> None:
    """R-AUTH-12, R-PRF-01: a client may say so."""
    profile_id = post(client, created_by="someone")

    assert client.get(f"{PATH}/{profile_id}").json["created_by"] == "someone"


def test_the_location_of_a_new_profile_is_its_url(client: Client) -> None:
    """G-23."""
    document = profile()

    answer = client.post(f"{PATH}/{document['id']}", json=document)

    assert answer.headers["Location"] == f"{client.base}{PATH}/{document['id']}"


def test_a_profile_is_immutable(client: Client) -> None:
    """R-PRF-02: 400 for a second POST, even of the same; no PUT, no DELETE."""
    document = profile()
    path = f"{PATH}/{document['id']}"
    first = client.post(path, json=document).json

    assert client.post(path, json=document).status == 400
    assert client.post(path, json={**document, "label": "other"}).status == 400
    assert client.put(path, json=document).status == 405
    assert client.delete(path).status == 405
    assert client.get(path).json == first


def test_the_ids_of_path_and_body_are_the_same(client: Client) -> None:
    """R-PRF-03."""
    document = profile()

    assert client.post(f"{PATH}/{new_id()}", json=document).status == 400
    assert client.get(PATH).json == []


@by_form
@pytest.mark.parametrize("profile_id", MALFORMED)
def test_a_malformed_profile_id_in_the_path_is_not_found(client: Client, profile_id: str) -> None:
    """R-PRF-03, R-GEN-04, R-GEN-05."""
    path = f"{PATH}/{profile_id.replace('{', '%7B').replace('}', '%7D').replace(chr(10), '%0A')}"

    assert client.get(path).status == 404
    assert client.head(path).status == 404
    assert client.post(path, json=profile(id=profile_id)).status == 404


def test_an_unknown_profile_is_not_found(client: Client) -> None:
    """R-GEN-01."""
    assert client.get(f"{PATH}/{UNKNOWN}").status == 404
    assert client.head(f"{PATH}/{UNKNOWN}").status == 404


@pytest.mark.parametrize("kind", ["video", "audio", "image", "data"])
def test_a_profile_has_one_of_four_formats(client: Client, kind: str) -> None:
    """R-PRF-04."""
    profile_id = post(client, kind)

    assert client.get(f"{PATH}/{profile_id}").json["flow_metadata"] == TECHNICAL[kind]


@by_form
@pytest.mark.parametrize(
    "part",
    [
        TECHNICAL["multi"],
        {},
        None,
        [],
        {**TECHNICAL["video"], "codec": "h264"},
        {**TECHNICAL["video"], "essence_parameters": {"frame_width": 1, "frame_height": 1}},
        {
            **TECHNICAL["video"],
            "essence_parameters": {
                "frame_width": 1,
                "frame_height": 1,
                "frame_rate": {"numerator": 25},
                "vfr": True,
            },
        },
        {**TECHNICAL["audio"], "format": "urn:x-nmos:format:video"},
        {**TECHNICAL["data"], "essence_parameters": {"colour": "red"}},
        {key: value for key, value in TECHNICAL["audio"].items() if key != "codec"},
    ],
)
def test_a_faulty_technical_part_is_refused(client: Client, part: object) -> None:
    """R-PRF-04, R-FLW-07, R-FLW-08."""
    document = {"id": new_id(), "flow_metadata": part}

    assert client.post(f"{PATH}/{document['id']}", json=document).status == 400
    assert client.get(f"{PATH}/{document['id']}").status == 404


@by_form
@pytest.mark.parametrize(
    "more",
    [
        {"label": "x"},
        {"max_bit_rate": 5},
        {"tags": {}},
        {"description": ""},
        {"generation": 1},
        {"status": "ingesting"},
        {"read_only": False},
        {"id": UNKNOWN},
    ],
)
def test_what_is_not_technical_is_refused_in_a_profile(
    client: Client, more: dict[str, object]
) -> None:
    """R-PRF-05."""
    document = profile(flow_metadata={**TECHNICAL["video"], **more})

    assert client.post(f"{PATH}/{document['id']}", json=document).status == 400


def test_profiles_are_filtered(client: Client) -> None:
    """R-PRF-06, R-PAGE-13, R-PAGE-18."""
    video, audio = post(client, "video", label="a"), post(client, "audio", label="b")

    def ids(**query: str) -> list[str]:
        return [one["id"] for one in client.listed(PATH, query=query)]

    assert ids() == [audio, video]
    assert ids(format="urn:x-nmos:format:video") == [video]
    assert ids(codec="audio/aac") == [audio]
    assert ids(label="a") == [video]
    assert ids(label="A") == []
    assert ids(label="a", codec="audio/aac") == []
    assert ids(format="urn:x-nmos:format:multi") == []


@by_form
@pytest.mark.parametrize(
    "query", ["format=video", "codec=x/y", "codec=", "limit=0", "limit=-1", "page=x", "format="]
)
def test_a_bad_query_for_profiles_is_refused(client: Client, query: str) -> None:
    """R-PRF-06, R-PAGE-19, R-GEN-02: HEAD, too."""
    assert client.get(f"{PATH}?{query}").status == 400
    assert client.head(f"{PATH}?{query}").status == 400


def test_profiles_come_in_pages_newest_first(client: Client) -> None:
    """R-PRF-06, R-PAGE-03."""
    made = [post(client, label=f"{number}") for number in range(5)]

    listed = client.listed(PATH, query={"limit": 2})

    assert [one["id"] for one in listed] == made[::-1]


def test_a_flow_of_an_unknown_profile_is_refused(client: Client) -> None:
    """R-PRF-08."""
    document = {"id": new_id(), "source_id": new_id(), "profile_id": UNKNOWN}

    assert client.put(f"/flows/{document['id']}", json=document).status == 400
    assert client.get("/flows").json == []
    assert client.get("/sources").json == []


@pytest.mark.parametrize(
    "more",
    [
        {"format": "urn:x-nmos:format:video"},
        {"codec": "video/h264"},
        {"container": "video/mp2t"},
        {"avg_bit_rate": 5},
        {"segment_duration": {"numerator": 1, "denominator": 1}},
        {"container_mapping": {"track_index": 0}},
        {"essence_parameters": {}},
        TECHNICAL["video"],
    ],
)
def test_no_technical_member_may_stand_beside_a_profile(
    client: Client, more: dict[str, object]
) -> None:
    """R-PRF-09: not one, though the schema lets it through."""
    document = {"id": new_id(), "source_id": new_id(), "profile_id": post(client), **more}

    assert client.put(f"/flows/{document['id']}", json=document).status == 400


def test_what_is_not_technical_may_stand_beside_a_profile(client: Client) -> None:
    """R-PRF-09, R-PRF-10: GET shows the whole technical part and the profile."""
    profile_id = post(client)
    member = flow("audio")
    client.put(f"/flows/{member['id']}", json=member)
    sent = linked(
        client,
        profile_id,
        max_bit_rate=6000,
        generation=1,
        status="ingesting",
        label="x",
        description="y",
        tags={"a": "b"},
        flow_collection=[{"id": member["id"]}],
    )

    shown = client.get(f"/flows/{sent['id']}").json

    assert {**sent, **TECHNICAL["video"]}.items() <= shown.items()


def test_the_average_bit_rate_of_a_linked_flow_is_the_profiles(client: Client) -> None:
    """R-PRF-11: PUT and DELETE are 400; the maximum stays the client's."""
    part = {**TECHNICAL["video"], "avg_bit_rate": 4000}
    path = f"/flows/{linked(client, post(client, flow_metadata=part))['id']}"

    assert client.put(f"{path}/avg_bit_rate", json=5000).status == 400
    assert client.delete(f"{path}/avg_bit_rate").status == 400
    assert client.get(f"{path}/avg_bit_rate").json == 4000
    assert client.put(f"{path}/max_bit_rate", json=5000).status == 204
    assert client.get(path).json["max_bit_rate"] == 5000


def test_an_empty_profile_id_with_a_technical_part_unlinks(client: Client) -> None:
    """R-PRF-12, R-PRF-15."""
    profile_id = post(client)
    sent = linked(client, profile_id)
    plain = {**flow(id=sent["id"], source_id=sent["source_id"]), "profile_id": ""}

    assert client.put(f"/flows/{sent['id']}", json=plain).status == 204
    assert "profile_id" not in client.get(f"/flows/{sent['id']}").json
    assert client.get("/flows", query={"profile_id": profile_id}).json == []


def test_an_empty_profile_id_alone_is_refused(client: Client) -> None:
    """R-PRF-12: also on a flow that is linked."""
    sent = linked(client, post(client))
    new = {"id": new_id(), "source_id": new_id(), "profile_id": ""}

    assert client.put(f"/flows/{sent['id']}", json={**sent, "profile_id": ""}).status == 400
    assert client.put(f"/flows/{new['id']}", json=new).status == 400


def test_a_linked_flow_is_not_unlinked_by_accident(client: Client) -> None:
    """R-PRF-13, B10: a technical part without `profile_id`, or what GET gave, is a 400."""
    profile_id = post(client)
    sent = linked(client, profile_id)
    path = f"/flows/{sent['id']}"
    plain = flow(id=sent["id"], source_id=sent["source_id"])

    refused = client.put(path, json=plain)

    assert refused.status == 400
    assert "profile" in refused.json["summary"]
    assert client.put(path, json=client.get(path).json).status == 400
    assert client.get(path).json["profile_id"] == profile_id


def test_a_linked_flow_is_updated_beside_its_profile(client: Client) -> None:
    """R-PRF-14."""
    sent = linked(client, post(client))

    assert client.put(f"/flows/{sent['id']}", json={**sent, "label": "new"}).status == 204
    shown = client.get(f"/flows/{sent['id']}").json
    assert shown["label"] == "new"
    assert shown["codec"] == "video/h264"


def test_another_profile_must_fit_the_source(client: Client) -> None:
    """R-PRF-14: the same format, and no segments yet."""
    first, second, audio = post(client), post(client), post(client, "audio")
    sent = linked(client, first)
    path = f"/flows/{sent['id']}"

    assert client.put(path, json={**sent, "profile_id": audio}).status == 400
    assert client.put(path, json={**sent, "profile_id": second}).status == 204
    assert client.get(path).json["profile_id"] == second


def test_only_linked_flows_match_a_profile(client: Client) -> None:
    """R-PRF-15: no look-alikes."""
    profile_id = post(client)
    sent = linked(client, profile_id)
    alike = flow()
    client.put(f"/flows/{alike['id']}", json=alike)

    found = client.get("/flows", query={"profile_id": profile_id}).json

    assert [one["id"] for one in found] == [sent["id"]]


@by_form
@pytest.mark.parametrize("profile_id", [None, "garbage", 5, UNKNOWN + "\n", []])
def test_a_malformed_profile_id_is_refused_in_a_flow(client: Client, profile_id: object) -> None:
    """R-PRF-16: also beside a complete technical part, where the schema sees nothing."""
    document = {**flow(), "profile_id": profile_id}
    alone = {"id": new_id(), "source_id": new_id(), "profile_id": profile_id}

    assert client.put(f"/flows/{document['id']}", json=document).status == 400
    assert client.put(f"/flows/{alone['id']}", json=alone).status == 400
