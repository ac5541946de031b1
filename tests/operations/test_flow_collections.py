"""Collections of flows (R-COL), through PUT of the flow and by their own path."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import MALFORMED, UNKNOWN, flow
from tests.deployments import Clock, by_form


def put(client: Client, kind: str = "video", **members: Any) -> dict[str, Any]:
    document = flow(kind, **members)
    assert client.put(f"/flows/{document['id']}", json=document).status == 201
    return document


def path(document: dict[str, Any]) -> str:
    return f"/flows/{document['id']}/flow_collection"


def collect(client: Client, document: dict[str, Any], *items: object) -> int:
    return client.put(path(document), json=list(items)).status


def item(document: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"id": document["id"], **members}


def test_a_collection_keeps_its_order(client: Client) -> None:
    """R-COL-01, R-COL-02: the role is optional, the mapping, too."""
    flows = [put(client) for _ in range(5)]
    items = [
        item(flows[3], role="b"),
        item(flows[0]),
        item(flows[4], container_mapping={"track_index": 1}),
        item(flows[1], role=""),
        item(flows[2]),
    ]
    whole = put(client, "multi", flow_collection=items)

    assert client.get(path(whole)).json == items
    assert client.put(path(whole), json=items[::-1]).status == 204
    assert client.get(path(whole)).json == items[::-1]
    assert client.get(f"/flows/{whole['id']}").json["flow_collection"] == items[::-1]


def test_an_unset_collection_reads_empty(client: Client) -> None:
    """R-FPR-03, G-06."""
    whole = put(client, "multi")

    assert client.get(path(whole)).json == []
    assert client.delete(path(whole)).status == 204
    assert "flow_collection" not in client.get(f"/flows/{whole['id']}").json


def test_a_collection_is_deleted(client: Client, clock: Clock) -> None:
    """R-FPR-03, R-FPR-06, R-FLW-26."""
    member = put(client)
    whole = put(client, "multi", flow_collection=[item(member)])
    before = client.get(f"/flows/{whole['id']}").json
    clock.advance(60)

    assert client.delete(path(whole)).status == 204
    after = client.get(f"/flows/{whole['id']}").json
    assert "flow_collection" not in after
    assert after["metadata_version"] != before["metadata_version"]
    assert after["metadata_updated"] > before["metadata_updated"]
    assert "collected_by" not in client.get(f"/flows/{member['id']}").json


@by_form
@pytest.mark.parametrize(
    "items",
    [
        {},
        None,
        "x",
        [5],
        [[]],
        [{}],
        [{"role": "a"}],
        [{"id": 5}],
        [{"id": UNKNOWN}],
        *([{"id": malformed}] for malformed in MALFORMED),
    ],
)
def test_a_faulty_collection_is_refused(client: Client, items: object) -> None:
    """R-COL-02, R-COL-03, R-GEN-05: a member has an id, and is there already."""
    whole = put(client, "multi")
    document = {**flow("multi"), "flow_collection": items}

    assert client.put(path(whole), json=items).status == 400
    assert client.put(f"/flows/{document['id']}", json=document).status == 400
    assert client.get(path(whole)).json == []


@by_form
@pytest.mark.parametrize("member", [{"role": 5}, {"role": None}, {"container_mapping": []}])
def test_a_faulty_item_is_refused(client: Client, member: dict[str, object]) -> None:
    """R-COL-02."""
    whole, video = put(client, "multi"), put(client)

    assert collect(client, whole, item(video, **member)) == 400


def test_unknown_members_of_an_item_are_dropped(client: Client) -> None:
    """R-GEN-08."""
    whole, video = put(client, "multi"), put(client)

    assert collect(client, whole, item(video, colour="red")) == 204
    assert client.get(path(whole)).json == [item(video)]


def test_a_flow_collects_neither_itself_nor_one_flow_twice(client: Client) -> None:
    """R-COL-04, G-13."""
    whole, video = put(client, "multi"), put(client)
    fresh = flow("multi")
    fresh["flow_collection"] = [item(fresh)]

    assert collect(client, whole, item(whole)) == 400
    assert collect(client, whole, item(video), item(video, role="b")) == 400
    assert client.put(f"/flows/{fresh['id']}", json=fresh).status == 400


@pytest.mark.parametrize("length", [2, 3, 6])
def test_collections_make_no_cycle(client: Client, length: int) -> None:
    """R-COL-04: of any length, and by both ways to write one."""
    chain = [put(client, "multi")]
    for _ in range(length - 1):
        chain.append(put(client, "multi", flow_collection=[item(chain[-1])]))
    closing = {**chain[0], "flow_collection": [item(chain[-1])]}

    assert collect(client, chain[0], item(chain[-1])) == 400
    assert client.put(f"/flows/{closing['id']}", json=closing).status == 400
    assert client.get(path(chain[0])).json == []


def test_any_flow_may_collect(client: Client) -> None:
    """R-COL-05: a video may collect its checksums."""
    video, data = put(client), put(client, "data")

    assert collect(client, video, item(data, role="checksums")) == 204
    assert client.get(f"/flows/{data['id']}").json["collected_by"] == [video["id"]]


def test_a_member_is_not_bumped_by_being_collected(client: Client, clock: Clock) -> None:
    """R-COL-06, G-15: `collected_by` alone changes, also of one that is read-only."""
    member = put(client, read_only=True)
    before = client.get(f"/flows/{member['id']}").json
    clock.advance(60)
    whole = put(client, "multi", flow_collection=[item(member)])

    after = client.get(f"/flows/{member['id']}").json

    assert after.pop("collected_by") == [whole["id"]]
    assert after == before


def test_a_replaced_flow_keeps_who_collects_it(client: Client) -> None:
    """R-FLW-26, R-FLW-04: `collected_by` of a PUT is ignored."""
    member = put(client)
    whole = put(client, "multi", flow_collection=[item(member)])

    client.put(f"/flows/{member['id']}", json={**member, "collected_by": [UNKNOWN], "label": "x"})

    assert client.get(f"/flows/{member['id']}").json["collected_by"] == [whole["id"]]


def test_flows_are_found_by_who_collects_them(client: Client) -> None:
    """R-PAGE-17: blank asks for those that nothing collects."""
    video, audio = put(client), put(client, "audio")
    first = put(client, "multi", flow_collection=[item(video)])
    second = put(client, "multi", flow_collection=[item(audio), item(video)])

    def found(query: str) -> set[str]:
        return {one["id"] for one in client.listed("/flows", query=query)}

    one, two = first["id"], second["id"]
    assert found(f"collected_by_ids={one}") == {video["id"]}
    assert found(f"collected_by_ids={two}") == {audio["id"], video["id"]}
    assert found(f"collected_by_ids={one},{two}") == {audio["id"], video["id"]}
    assert found(f"collected_by_ids={one}%2C{two}") == {audio["id"], video["id"]}
    assert found("collected_by_ids=") == {one, two}
    assert found("") == {one, two, audio["id"], video["id"]}
    assert found(f"collected_by_ids={video['id']}") == set()


def test_a_large_collection_is_kept(client: Client) -> None:
    """R-COL-01: scores of members, in order."""
    members = [put(client) for _ in range(60)]
    items = [item(member, role=f"{number}") for number, member in enumerate(members)]
    whole = put(client, "multi", flow_collection=items)

    assert client.get(path(whole)).json == items


def test_a_role_that_contradicts_a_sibling_is_refused(client: Client) -> None:
    """R-SRC-09: flows of one source collect the same sources in the same roles."""
    video, audio = put(client), put(client, "audio")
    first = put(client, "multi", flow_collection=[item(audio, role="left"), item(video)])
    sibling = flow("multi", source_id=first["source_id"])
    sibling["flow_collection"] = [item(audio, role="right"), item(video)]

    assert client.put(f"/flows/{sibling['id']}", json=sibling).status == 400
