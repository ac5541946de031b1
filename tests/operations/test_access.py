"""Who may see and change what, by `auth_classes` (R-AUTH-06 to -10)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tams_gateway.testing import samples
from tams_gateway.testing.client import Answer
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import UNKNOWN, new_id
from tests.operations.access import Principals, guarded

NEWS = {"auth_classes": ["news"]}


@pytest.fixture(params=["wsgi-memory", "asgi-sqlite"])
def principals(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Principals]:
    with guarded(request.param, tmp_path, monkeypatch) as principals:
        yield principals


def summary(answer: Answer, *ids: str) -> str:
    """Return the text of an error, with the ids in it as `UNKNOWN`."""
    text: str = answer.json["summary"]
    for id_ in ids:
        text = text.replace(id_, UNKNOWN)
    return text


@pytest.mark.parametrize(
    ("tags", "reads", "writes"),
    [
        ({"auth_classes": ["news"]}, {"news", "both"}, {"news", "both"}),
        ({"auth_classes": "sport"}, {"sport", "both"}, {"sport", "both"}),
        ({"auth_classes": ["news", "sport_ro"]}, {"news", "sport", "both"}, {"news", "both"}),
        ({"auth_classes": ["desk"]}, {"news", "both"}, {"news", "both", "clerk"}),
        ({"auth_classes": []}, set(), set()),
        ({"auth_classes": [""]}, set(), set()),
        ({}, set(), set()),
    ],
)
def test_a_class_gives_what_its_name_or_its_rule_says(
    principals: Principals, tags: dict[str, Any], reads: set[str], writes: set[str]
) -> None:
    """R-AUTH-06: nothing at all is 404, too little is 403; what has no class is for admins."""
    flow_id = principals.ingest("root").flow(tags=tags)
    path = f"/flows/{flow_id}"
    for name in ("nobody", "news", "sport", "both", "clerk", "root"):
        client = principals[name]
        read, written = client.get(path), client.put(f"{path}/label", json="new")
        known = name == "root" or name in reads | writes
        assert read.status == (200 if name in {*reads, "root"} else 403 if known else 404)
        assert written.status == (204 if name in {*writes, "root"} else 403 if known else 404)
        assert [one["id"] for one in client.listed("/flows")] == (
            [flow_id] if name in {*reads, "root"} else []
        )
        if not known:
            absent = client.get(f"/flows/{UNKNOWN}")
            assert summary(read, flow_id) == summary(absent)


def test_who_makes_a_flow_names_a_class_of_its_own(principals: Principals) -> None:
    """R-AUTH-07: where there is no source yet, that is the permission to create."""
    for classes in (None, [], ["sport"], "news_ro"):
        document = samples.flow(tags=None if classes is None else {"auth_classes": classes})
        answer = principals["news"].put(f"/flows/{document['id']}", json=document)
        assert answer.status == 403, classes
        assert "auth_classes" in answer.json["summary"]
        assert principals["root"].get(f"/sources/{document['source_id']}").status == 404
    source_id = new_id()
    principals.ingest("news").flow(source_id=source_id, tags=NEWS)
    # R-AUTH-09: the source inherits the classes.
    assert principals["news"].get(f"/sources/{source_id}").json["tags"] == NEWS
    assert principals["sport"].get(f"/sources/{source_id}").status == 404


def test_a_flow_of_an_existing_source_needs_write_on_it(principals: Principals) -> None:
    """R-AUTH-07."""
    shared, hidden = new_id(), new_id()
    root = principals.ingest("root")
    root.flow(source_id=shared, tags={"auth_classes": ["sport_ro"]})
    root.flow(source_id=hidden, tags=NEWS)
    for source_id, status in ((shared, 403), (hidden, 404)):
        document = samples.flow(source_id=source_id, tags={"auth_classes": ["sport"]})
        answer = principals["sport"].put(f"/flows/{document['id']}", json=document)
        assert answer.status == status
        assert source_id in answer.json["summary"]
    principals.ingest("news").flow(source_id=hidden, tags=NEWS)


def test_the_tag_is_changed_only_with_the_permission_that_it_gives(
    principals: Principals,
) -> None:
    """R-AUTH-09: on flows and on sources, by the tag alone and with the whole flow."""
    document = samples.flow(tags=NEWS)
    flow_path, source_path = f"/flows/{document['id']}", f"/sources/{document['source_id']}"
    assert principals["news"].put(flow_path, json=document).status == 201
    for path in (flow_path, source_path):
        tag = f"{path}/tags/auth_classes"

        def change(name: str, *classes: str, tag: str = tag) -> int:
            return principals[name].put(tag, json=list(classes)).status

        assert change("news", "news", "sport") == 403
        assert change("news", "news", "sport_ro") == 403
        assert change("news", "sport") == change("news") == change("news", "") == 403
        assert principals["news"].delete(tag).status == 403
        assert change("news", "news", "news_ro") == 204
        assert change("both", "news", "sport_ro") == 204
        assert change("sport", "news", "sport_ro", "sport") == 403
        assert change("root", "desk") == 204
        # Nobody deletes what is of the class desk: to add another would let one do so.
        assert change("news", "desk", "news") == 403
        assert change("clerk", "desk") == 204
        assert change("clerk", "clerk", "desk") == 403
        assert change("root", "news") == 204
        assert principals["news"].put(f"{path}/tags/other", json="x").status == 204
    for tags, status in ((None, 403), ({"auth_classes": ["sport"]}, 403), (NEWS, 204)):
        changed = {**document, "tags": tags} if tags else samples.flow(**{**document, "tags": None})
        assert principals["news"].put(flow_path, json=changed).status == status, tags


def test_a_reader_of_an_object_refers_to_it_but_does_not_change_it(
    principals: Principals,
) -> None:
    """R-AUTH-07: a change of an object needs write on all flows that refer to it."""
    news, sport = principals.ingest("news"), principals.ingest("sport")
    flow_id, mine = news.flow(tags=NEWS), sport.flow(tags={"auth_classes": ["sport"]})
    object_id = news.add(flow_id, "[0:0_1:0)")
    reuse = {"object_id": object_id, "timerange": "[0:0_1:0)"}
    instance = {"url": "https://example.com/other", "label": "other"}
    path = f"/objects/{object_id}/instances"

    refused = sport.client.post(f"/flows/{mine}/segments", json=reuse)
    assert refused.status == 400
    assert "is unknown" in refused.json["summary"]
    taken = {**samples.segment("[0:0_1:0)", object_id), "timerange": "[0:0_1:0)"}
    assert sport.client.post(f"/flows/{mine}/segments", json=taken).status == 400
    assert news.media_object(object_id)["referenced_by_flows"] == [flow_id]

    shared = {"auth_classes": ["news", "sport_ro"]}
    principals.ingest("root").flow(
        flow_id, source_id=news.document(flow_id)["source_id"], tags=shared
    )
    assert sport.client.post(path, json=instance).status == 403
    assert sport.client.post(f"/flows/{mine}/segments", json=reuse).status == 201
    assert sport.client.post(path, json=instance).status == 403
    assert news.client.post(path, json=instance).status == 403
    assert principals["both"].post(path, json=instance).status == 201
    assert sport.client.delete(f"{path}?label=other").status == 403
    assert set(sport.media_object(object_id)["referenced_by_flows"]) == {flow_id, mine}
    assert news.media_object(object_id)["referenced_by_flows"] == [flow_id]
    assert sport.media_object(object_id)["first_referenced_by_flow"] == flow_id
    principals.ingest("root").flow(
        flow_id, source_id=news.document(flow_id)["source_id"], tags=NEWS
    )
    assert sport.media_object(object_id)["referenced_by_flows"] == [mine]
    assert "first_referenced_by_flow" not in sport.media_object(object_id)


def test_a_deletion_request_is_for_those_who_may_delete_its_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-AUTH-07: also once the flow is gone."""
    limits = {"async_deletion_threshold": 0}
    with guarded("wsgi-memory", tmp_path, monkeypatch, limits=limits) as principals:
        for tags, statuses in (
            (NEWS, {"news": 200, "sport": 404, "clerk": 404, "root": 200}),
            ({"auth_classes": ["news", "sport_ro"]}, {"news": 200, "sport": 403, "nobody": 404}),
            ({"auth_classes": ["desk", "sport"]}, {"news": 403, "clerk": 403, "sport": 200}),
        ):
            root = principals.ingest("root")
            flow_id = root.flow(tags=tags)
            root.add(flow_id, "[0:0_1:0)")
            path = f"/flow-delete-requests/{root.client.delete(f'/flows/{flow_id}').json['id']}"
            assert {name: principals[name].get(path).status for name in statuses} == statuses


@pytest.mark.parametrize("kind", ["wsgi-memory", "asgi-sqlite"])
def test_storage_backends_with_classes_are_for_some(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-AUTH-07, R-AUTH-08, R-AUTH-10: in listings, allocations, copies, URLs and bytes."""
    sections: dict[str, Any] = {
        "objects.main": {"tags": {"auth_classes": ["news", "sport_ro"]}},
        "objects.second": {"tags": {}},
    }
    with guarded(kind, tmp_path, monkeypatch, **sections) as principals:
        news, sport, clerk = (principals.ingest(name) for name in ("news", "sport", "clerk"))
        main, second = (one["id"] for one in principals.ingest("root").storage_backends())
        assert [len(one.storage_backends()) for one in (news, sport, clerk)] == [2, 2, 1]
        flow_id = principals.ingest("root").flow(tags={"auth_classes": ["news", "sport", "clerk"]})
        path = f"/flows/{flow_id}/storage"

        refused = [one.client.post(path, json={"storage_id": main}) for one in (sport, clerk)]
        assert [one.status for one in refused] == [403, 400]
        unknown = clerk.client.post(path, json={"storage_id": UNKNOWN})
        assert summary(refused[1], main) == summary(unknown)
        # Without a storage_id it is the first that may be written in.
        assert "/media/main/" in news.allocate(flow_id)[0]["put_url"]["url"]
        for one in (sport, clerk):
            assert "/media/second/" in one.allocate(flow_id)[0]["put_url"]["url"]

        [allocated] = news.allocate(flow_id, presigned=False)
        object_id = allocated["object_id"]
        media = urlsplit(allocated["put_url"]["url"]).path
        video = {"content-type": "video/mp2t"}
        for name, status in (("nobody", 404), ("clerk", 404), ("sport", 403), ("news", 200)):
            put = principals[name].put(media, body=b"bytes", headers=video)
            assert put.status == status, name
        news.register(flow_id, object_id, "[0:0_1:0)")
        for name, status in (("nobody", 404), ("clerk", 404), ("sport", 200), ("news", 200)):
            assert principals[name].get(media).status == status, name
            assert principals[name].head(media).status == status, name

        def urls(one: Ingest) -> list[str]:
            return [url["label"] for url in one.segments(flow_id)[0]["get_urls"]]

        assert (urls(news), urls(clerk)) == (["main", "main"], [])
        assert clerk.media_object(object_id)["get_urls"] == []
        signed = next(url["url"] for url in news.segments(flow_id)[0]["get_urls"])
        assert principals["nobody"].get(signed).status == 200

        instances = f"/objects/{object_id}/instances"
        # Its bytes lie where the clerk may not read: no copy brings them out.
        copied = clerk.client.post(instances, json={"storage_id": second})
        assert copied.status == 400
        assert "no uploaded instance" in copied.json["summary"]
        assert sport.client.post(instances, json={"storage_id": second}).status == 201
        statuses = [
            one.client.delete(f"{instances}?storage_id={main}").status for one in (clerk, sport)
        ]
        assert statuses == [404, 403]


def test_bytes_are_for_those_who_may_use_their_object(principals: Principals) -> None:
    """R-AUTH-07: also in a storage backend that is open to everybody, and before registration."""
    root = principals.ingest("root")
    second = root.storage_backends()[1]["id"]
    flow_id = root.flow(tags={"auth_classes": ["news", "sport_ro"]})
    [allocated] = root.allocate(flow_id, storage_id=second, presigned=False)
    media = urlsplit(allocated["put_url"]["url"]).path
    video = {"content-type": "video/mp2t"}
    for name, status in (("clerk", 404), ("sport", 403), ("news", 200)):
        assert principals[name].put(media, body=b"bytes", headers=video).status == status, name
    for name, status in (("clerk", 404), ("sport", 200), ("news", 200)):
        assert principals[name].get(media).status == status, name
    root.register(flow_id, allocated["object_id"], "[0:0_1:0)")
    for name, status in (("clerk", 404), ("sport", 403), ("news", 409)):
        assert principals[name].put(media, body=b"bytes", headers=video).status == status, name
    for name, status in (("clerk", 404), ("sport", 200), ("news", 200)):
        assert principals[name].get(media).status == status, name


def test_who_may_only_write_a_flow_does_not_read_its_segments(principals: Principals) -> None:
    """R-AUTH-06: yet it may add some, and repeat what it added."""
    root, clerk = principals.ingest("root"), principals.ingest("clerk")
    flow_id = root.flow(tags={"auth_classes": ["desk"]})
    for _ in range(2):
        clerk.add(flow_id, "[0:0_1:0)", "added")
    assert clerk.client.get(f"/flows/{flow_id}/segments").status == 403
    assert clerk.client.get("/objects/added").status == 403
    assert clerk.client.delete(f"/flows/{flow_id}/segments").status == 403


def test_what_contradicts_a_hidden_sibling_is_refused_without_its_name(
    principals: Principals,
) -> None:
    """R-AUTH-07, R-SRC-09."""
    root, source_id = principals.ingest("root"), new_id()
    sport = {"auth_classes": ["sport"]}
    member = root.flow(tags=sport)
    mine = root.flow(source_id=source_id, tags=sport)
    items = [{"id": member, "role": "theirs"}]
    sibling = root.flow(source_id=source_id, tags=NEWS, flow_collection=items)
    body = [{"id": member, "role": "ours"}]
    answers = {
        name: principals[name].put(f"/flows/{mine}/flow_collection", json=body)
        for name in ("root", "sport")
    }
    assert {one.status for one in answers.values()} == {400}
    assert sibling in answers["root"].json["summary"]
    told = answers["sport"].json["summary"]
    assert "contradicts" in told
    assert not any(hidden in told for hidden in (sibling, "theirs"))


def test_the_default_classes_are_those_of_what_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-AUTH-06: for reading, and for making flows without the tag."""
    access = {"default_classes": ["news", "sport_ro"]}
    with guarded("wsgi-sqlite", tmp_path, monkeypatch, access=access) as principals:
        flow_id = principals.ingest("news").flow()
        for name, status in (("nobody", 404), ("sport", 200), ("news", 200), ("clerk", 404)):
            assert principals[name].get(f"/flows/{flow_id}").status == status, name
        assert [len(principals[name].listed("/flows")) for name in ("sport", "clerk")] == [1, 0]
        document = samples.flow()
        assert principals["sport"].put(f"/flows/{document['id']}", json=document).status == 403


def test_without_the_switch_nobody_looks_at_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = {"auth_classes": False}
    with guarded("wsgi-memory", tmp_path, monkeypatch, access=access) as principals:
        flow_id = principals.ingest("nobody").flow(tags={"auth_classes": ["sport"]})
        assert principals["clerk"].get(f"/flows/{flow_id}").status == 200
