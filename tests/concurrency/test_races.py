"""Requests that meet: across threads of one process, and across worker processes."""

from collections.abc import Callable
from functools import partial

import pytest

from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import flow as sample_flow
from tams_gateway.testing.samples import new_id
from tams_gateway.testing.samples import segment as external
from tests.concurrency.race import race

TIMES = 5


@pytest.mark.parametrize("attempt", range(TIMES))
def test_of_overlapping_segments_exactly_one_wins(
    client: Client, ingest: Ingest, attempt: int
) -> None:
    """R-SEG-15, G-19: all others are told 400, and the winner's segment is the one that stands."""
    flow_id = ingest.flow()
    segments = [external(f"[{attempt}:0_{attempt}:{number + 1})") for number in range(8)]

    answers = race(
        [partial(client.post, f"/flows/{flow_id}/segments", json=one) for one in segments]
    )

    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [201] + [400] * 7
    winner = segments[statuses.index(201)]
    assert [one["object_id"] for one in ingest.segments(flow_id)] == [winner["object_id"]]
    for loser in segments:
        if loser is not winner:
            assert client.get(f"/objects/{loser['object_id']}").status == 404


def test_lists_that_overlap_are_stored_without_an_overlap(client: Client, ingest: Ingest) -> None:
    """R-SEG-11, R-SEG-15: each place is won once, and the failures say which."""
    flow_id = ingest.flow()
    lists = [[external(seconds(at, at + 1)) for at in range(20)] for _ in range(6)]

    answers = race([partial(client.post, f"/flows/{flow_id}/segments", json=one) for one in lists])

    stored = set()
    for posted, answer in zip(lists, answers, strict=True):
        assert answer.status in (200, 201)
        failed = answer.json["failed_segments"] if answer.status == 200 else []
        refused = {failure["object_id"] for failure in failed}
        stored |= {one["object_id"] for one in posted} - refused
    segments = ingest.segments(flow_id)
    assert [one["timerange"] for one in segments] == [seconds(at, at + 1) for at in range(20)]
    assert {one["object_id"] for one in segments} == stored


def test_writers_of_one_flow_do_not_hinder_each_other(client: Client, ingest: Ingest) -> None:
    """Adding segments never makes writers of one flow conflict."""
    flow_id = ingest.flow()

    def write(writer: int) -> list[int]:
        path = f"/flows/{flow_id}/segments"
        times = [seconds(at, at + 1) for at in range(writer, 80, 8)]
        return [client.post(path, json=external(one)).status for one in times]

    statuses = race([partial(write, writer) for writer in range(8)])

    assert statuses == [[201] * 10] * 8
    assert ingest.timeranges(flow_id) == [seconds(at, at + 1) for at in range(80)]


def test_twelve_clients_that_set_different_tags_all_succeed(client: Client, ingest: Ingest) -> None:
    """R-FPR-01, R-FPR-06: no update is lost, and none is refused."""
    flow_id = ingest.flow()
    names = [f"tag{number}" for number in range(12)]

    answers = race(
        [partial(client.put, f"/flows/{flow_id}/tags/{name}", json=name) for name in names]
    )

    assert [answer.status for answer in answers] == [204] * 12
    assert client.get(f"/flows/{flow_id}/tags").json == {name: name for name in names}


def test_what_one_worker_answered_every_other_shows_at_once(client: Client, ingest: Ingest) -> None:
    """Each step is read over other connections, that may lead to other workers."""
    flow_id = ingest.flow()
    path = f"/flows/{flow_id}"

    for number in range(10):
        assert client.put(f"{path}/label", json=f"take {number}").status == 204
        ingest.add(flow_id, seconds(number, number + 1))
        shown = race([partial(client.get, path)] * 4)
        assert {answer.json["label"] for answer in shown} == {f"take {number}"}
        shown = race([partial(client.get, f"{path}/segments")] * 4)
        assert {len(answer.json) for answer in shown} == {number + 1}


@pytest.mark.parametrize("attempt", range(2 * TIMES))
def test_reuse_and_the_last_deletion_exclude_each_other(
    client: Client, ingest: Ingest, attempt: int
) -> None:
    """R-OBJ-10: the object is kept, or the POST gets 400; nothing dangles."""
    first, second = ingest.flow(), ingest.flow()
    object_id = ingest.allocated(first)
    ingest.register(first, object_id, "[0:0_1:0)")
    segment = {"object_id": object_id, "timerange": seconds(attempt, attempt + 1)}
    segment["ts_offset"] = f"{attempt}:0"

    deleted, posted = race(
        [
            partial(client.delete, f"/flows/{first}/segments"),
            partial(client.post, f"/flows/{second}/segments", json=segment),
        ]
    )

    assert deleted.status == 204
    assert posted.status in (201, 400)
    shown = client.get(f"/objects/{object_id}")
    segments = ingest.segments(second)
    if posted.status == 201:
        assert shown.json["referenced_by_flows"] == [second]
        assert len(segments[0]["get_urls"]) == 2
    else:
        assert shown.status == 404
        assert segments == []


def test_uses_of_one_object_are_all_counted(client: Client, ingest: Ingest) -> None:
    """R-OBJ-03, R-FLW-24: eight flows take it up at once, and drop it at once."""
    owner = ingest.flow()
    object_id = ingest.add(owner, "[0:0_1:0)")
    flows = [ingest.flow() for _ in range(8)]
    segment = {"object_id": object_id, "timerange": "[0:0_1:0)"}

    posted = race([partial(client.post, f"/flows/{one}/segments", json=segment) for one in flows])
    users = ingest.media_object(object_id)["referenced_by_flows"]
    deleted = race([partial(client.delete, f"/flows/{one}") for one in flows])

    assert [answer.status for answer in posted] == [201] * 8
    assert users == sorted([owner, *flows])
    assert [answer.status for answer in deleted] == [204] * 8
    assert ingest.media_object(object_id)["referenced_by_flows"] == [owner]
    assert client.delete(f"/flows/{owner}/segments").status == 204
    assert client.get(f"/objects/{object_id}").status == 404


def test_an_object_id_is_allocated_once(client: Client, ingest: Ingest) -> None:
    """R-STO-04."""
    flows = [ingest.flow() for _ in range(6)]
    ids = {"object_ids": [f"wanted-{new_id()}"]}

    answers = race([partial(client.post, f"/flows/{one}/storage", json=ids) for one in flows])

    assert sorted(answer.status for answer in answers) == [201] + [400] * 5


def test_instances_of_one_object_are_all_noted(client: Client, ingest: Ingest) -> None:
    """R-INS-03."""
    object_id = ingest.add(ingest.flow(), "[0:0_1:0)")
    instances = [{"url": f"https://example.com/{at}", "label": f"copy {at}"} for at in range(6)]

    path = f"/objects/{object_id}/instances"
    answers = race([partial(client.post, path, json=one) for one in instances])

    assert [answer.status for answer in answers] == [201] * 6
    labels = {url["label"] for url in ingest.media_object(object_id)["get_urls"]}
    assert labels == {"elsewhere", *(one["label"] for one in instances)}


def test_a_flow_is_created_once(client: Client) -> None:
    """R-FLW-01: of equal PUTs one creates, and the rest replace."""
    document = sample_flow()

    answers = race([partial(client.put, f"/flows/{document['id']}", json=document)] * 6)

    assert sorted(answer.status for answer in answers) == [201] + [204] * 5


def test_flows_of_one_source_are_counted(client: Client) -> None:
    """R-SRC-01: the source lives as long as one of them."""
    source_id = new_id()
    documents = [sample_flow(source_id=source_id) for _ in range(6)]
    puts = [partial(client.put, f"/flows/{one['id']}", json=one) for one in documents]
    deletes = [partial(client.delete, f"/flows/{one['id']}") for one in documents]

    assert [answer.status for answer in race(puts)] == [201] * 6
    assert [answer.status for answer in race(deletes[:5])] == [204] * 5
    assert client.get(f"/sources/{source_id}").status == 200
    assert deletes[5]().status == 204
    assert client.get(f"/sources/{source_id}").status == 404


def test_a_read_only_switch_is_not_overtaken(client: Client, ingest: Ingest) -> None:
    """R-FLW-12: what was refused after the switch has left nothing behind."""
    flow_id = ingest.flow()
    path = f"/flows/{flow_id}"

    def write(writer: int) -> list[Answer]:
        times = [seconds(at, at + 1) for at in range(writer, 40, 4)]
        return [client.post(f"{path}/segments", json=external(one)) for one in times]

    def switch() -> list[Answer]:
        return [client.put(f"{path}/read_only", json=True), client.get(f"{path}/segments")]

    moves: list[Callable[[], list[Answer]]] = [partial(write, writer) for writer in range(4)]
    *written, (switched, then) = race([*moves, switch])

    assert switched.status == 204
    stored = [answer.status for answers in written for answer in answers]
    assert set(stored) <= {201, 403}
    assert ingest.segments(flow_id) == then.json
    assert len(then.json) == stored.count(201)


def test_listings_are_complete_while_others_insert(client: Client, ingest: Ingest) -> None:
    """R-PAGE-06: what was there throughout comes exactly once, in order."""
    flow_id = ingest.flow()
    old = [seconds(at, at + 1) for at in range(0, 120, 3)]
    ingest.add_many(flow_id, [external(one) for one in old])
    path = f"/flows/{flow_id}/segments"

    def insert(first: int) -> list[str]:
        for at in range(first, 120, 3):
            assert client.post(path, json=external(seconds(at, at + 1))).status == 201
        return []

    def read(reverse: bool) -> list[str]:
        query = f"limit=7&reverse_order={str(reverse).lower()}"
        found = [one["timerange"] for one in client.listed(path, query=query)]
        return found[::-1] if reverse else found

    moves: list[Callable[[], list[str]]] = [
        partial(insert, 1),
        partial(insert, 2),
        partial(read, False),
        partial(read, True),
    ]
    reads = race(moves)

    for found in reads[2:]:
        assert len(found) == len(set(found))
        assert [one for one in found if one in old] == old


def test_lists_of_flows_are_complete_while_others_are_made(client: Client, ingest: Ingest) -> None:
    """R-PAGE-06, R-PAGE-11: also newest first, where the new ones come before the first page."""
    tag = f"race-{new_id()}"
    old = [ingest.flow(tags={"race": tag}) for _ in range(15)]

    def make() -> list[str]:
        return [ingest.flow(tags={"race": tag}) for _ in range(10)]

    def read(order: str) -> list[str]:
        query = f"tag.race={tag}&limit=4{order}"
        return [one["id"] for one in client.listed("/flows", query=query)]

    orders = ("", "&reverse_order=true", "&sort_by=label", "&sort_by=metadata_updated")
    moves: list[Callable[[], list[str]]] = [partial(read, order) for order in orders]
    reads = race([make, *moves])

    for found in reads[1:]:
        assert len(found) == len(set(found))
        assert set(old) <= set(found)
