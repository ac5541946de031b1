"""Who may see nothing meets an empty server: every operation, compared byte for byte."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec.structs import force_setattr

from tams_gateway.http.routes import ROUTES
from tams_gateway.testing.client import Answer
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.samples import UNKNOWN, flow, new_id, segment
from tests.operations.access import Principals, guarded
from tests.operations.hooks import EVENTS, PATH, URL, Sink

Document = dict[str, Any]

NEWS = {"auth_classes": ["news"]}
TAGS = {"auth_classes": "sport"}
MOVING = re.compile(
    rb'"(time|request_id|metadata_version|metadata_updated|created|updated|segments_updated|next)"'
    rb':"[^"]*"'
)
"""What differs between two servers of the same content."""


class Pair:
    """Two gateways of one config: one with content that few may see, one without any."""

    def __init__(self, full: Principals, empty: Principals) -> None:
        self.full = full
        self.empty = empty
        for one in (full, empty):
            force_setattr(one.deployment.gateway, "webhooks", Sink())

    def same(self, name: str, method: str, path: str, **more: Any) -> Answer:
        """Send the same to both, insist that nobody could tell them apart, return the answer."""
        answers = [one[name].request(method, path, **more) for one in (self.full, self.empty)]
        full, empty = (
            (
                one.status,
                {name: KEY.sub("", value) for name, value in one.headers.items()} | LOCAL,
                MOVING.sub(rb'"\1":""', one.body),
            )
            for one in answers
        )
        assert full == empty, f"{method} {path} {more}"
        return answers[0]


LOCAL = {"x-request-id": "", "content-length": ""}
"""Headers that differ; lengths do since some times have a fraction."""

KEY = re.compile(r"\bWyJ[\w-]+")
"""The key of a page, which holds a time."""


@pytest.fixture(params=["wsgi-memory", "asgi-sqlite"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "plugins" / "guest_sink")
    with ExitStack() as closing:
        pair = []
        for name in ("full", "empty"):
            folder = tmp_path / name
            folder.mkdir()
            sections: Document = {
                "limits": {"async_deletion_threshold": 0},
                "events": [{"plugin": "guest-sink", "path": str(folder / "events")}],
                "objects.second": {"tags": NEWS},
            }
            opened = guarded(request.param, folder, monkeypatch, **sections)
            pair.append(closing.enter_context(opened))
        yield Pair(*pair)


class Shelf:
    """What is hidden in the full server, and its ids."""

    def __init__(self, ingest: Ingest) -> None:
        self.member = ingest.flow(tags=NEWS)
        self.flow_id = ingest.flow(tags=NEWS, flow_collection=[{"id": self.member}], label="l")
        self.document = ingest.document(self.flow_id)
        self.source_id = self.document["source_id"]
        ingest.add(self.flow_id, "[0:0_1:0)", "elsewhere")
        allocated = ingest.allocate(self.flow_id, limit=2, presigned=False)
        self.allocated, self.registered = (one["object_id"] for one in allocated)
        self.media = [urlsplit(one["put_url"]["url"]).path for one in allocated]
        uploaded = ingest.client.put(
            self.media[1], body=b"bytes", headers={"content-type": "video/mp2t"}
        )
        assert uploaded.status == 200
        ingest.register(self.flow_id, self.registered, "[1:0_2:0)")
        with_init = ingest.init_flow(tags=NEWS)
        self.init, media = (
            one["object_id"]
            for one in ingest.allocate(with_init, limit=2, content_type="video/iso.segment")
        )
        ingest.register(with_init, media, "[0:0_1:0)", init_object_id=self.init)
        gone = ingest.flow(tags=NEWS)
        ingest.add(gone, "[0:0_1:0)")
        answer = ingest.client.delete(f"/flows/{gone}")
        assert answer.status == 202
        self.request_id = answer.json["id"]
        hook = ingest.client.post(PATH, json={"url": URL, "events": EVENTS})
        assert hook.status == 201
        self.webhook_id = hook.json["id"]

    @property
    def objects(self) -> list[str]:
        """The ids of objects in every state."""
        return ["elsewhere", self.allocated, self.registered, self.init]

    def paths(self, template: str) -> Iterator[str]:
        """Yield a template filled with what is hidden."""
        if template.startswith("/media"):
            yield from self.media
            return
        values = {
            "flowId": [self.flow_id, self.member],
            "sourceId": [self.source_id],
            "requestId": [self.request_id],
            "webhookId": [self.webhook_id],
            "profileId": [UNKNOWN],
            "objectId": self.objects,
        }
        parameters = re.findall(r"{(\w+)}", template)
        found = [template]
        for name in parameters:
            texts = values.get(name, ["auth_classes", "other"])
            found = [one.replace(f"{{{name}}}", text) for one in found for text in texts]
        yield from found

    def queries(self) -> list[str]:
        """Return queries that ask for what is hidden, and one that is wrong."""
        return [
            "",
            "limit=1",
            "reverse_order=true&limit=1000",
            "limit=x",
            f"source_id={self.source_id}",
            f"collected_by_ids={self.flow_id},{self.source_id}",
            "collected_by_ids=",
            "tag.auth_classes=news",
            "tag_exists.auth_classes=true",
            "timerange=[0:0_2:0)",
            "include_timerange=true",
            f"object_id={self.registered}",
            f"flow_id={self.flow_id}",
            "label=l",
            "label=elsewhere",
            "presigned=true&verbose_storage=true",
        ]

    def bodies(self) -> list[Any]:
        """Return bodies of every operation that name what is hidden, and some that are wrong."""
        put = {name: self.document[name] for name in flow() if name in self.document}
        return [
            {**put, "tags": NEWS},
            {**put, "id": self.member, "flow_collection": [{"id": self.flow_id}]},
            [{"id": self.member}],
            segment("[5:0_6:0)", "elsewhere"),
            [{"object_id": one, "timerange": "[5:0_6:0)"} for one in self.objects],
            {"limit": 1},
            {"object_ids": self.objects},
            {"storage_id": UNKNOWN},
            {"url": "https://example.com/x", "label": "x"},
            {"url": URL, "events": EVENTS, "flow_ids": [self.flow_id]},
            {"url": URL, "events": EVENTS, "source_ids": [self.source_id]},
            "text",
            True,
            5,
            {},
        ]


def test_who_may_see_nothing_meets_an_empty_server(pair: Pair) -> None:
    """R-AUTH-06, R-AUTH-07, R-AUTH-08: every operation of the table of routes."""
    shelf = Shelf(pair.full.ingest("root"))
    statuses: set[int] = set()
    for route in ROUTES:
        if route.template == "/events/stream":
            continue  # It never ends; what it shows is what `/events` shows.
        for path in shelf.paths(route.template):
            if route.method in ("GET", "DELETE"):
                for query in shelf.queries():
                    answer = pair.same("nobody", route.method, path, query=query)
                    statuses.add(answer.status)
                    if route.method == "GET":
                        pair.same("nobody", "HEAD", path, query=query)
                continue
            for body in shelf.bodies():
                statuses.add(pair.same("nobody", route.method, path, json=body).status)
            statuses.add(pair.same("nobody", route.method, path, body=b"{").status)
    assert statuses == {200, 400, 403, 404}
    assert len(pair.full["root"].listed("/flows")) == 3


def test_who_sees_something_is_told_nothing_of_the_rest(pair: Pair) -> None:
    """R-AUTH-07, R-AUTH-08: relations, references and errors name nothing that is hidden."""
    mine, source_id, init, other = new_id(), new_id(), new_id(), new_id()
    shelf = Shelf(pair.full.ingest("root"))
    for one in (pair.full, pair.empty):
        one.ingest("sport").flow(mine, source_id=source_id, tags=TAGS)
        one.ingest("sport").init_flow(init, source_id=other, tags=TAGS)
        one.ingest("sport").add(mine, "[0:0_1:0)", "mine")
    root = pair.full["root"]
    # A hidden flow collects one that is seen, which collects a hidden one, and uses its object.
    items = [{"id": mine}, {"id": shelf.member}]
    assert root.put(f"/flows/{shelf.flow_id}/flow_collection", json=items).status == 204
    items = [{"id": init}, {"id": shelf.member}]
    assert root.put(f"/flows/{mine}/flow_collection", json=items).status == 204
    assert pair.empty["root"].put(f"/flows/{mine}/flow_collection", json=items[:1]).status == 204
    document = segment("[8:0_9:0)", "mine", ts_offset="8:0")
    assert root.post(f"/flows/{shelf.flow_id}/segments", json=document).status == 201

    for path in (f"/flows/{mine}", f"/sources/{source_id}", f"/flows/{init}", "/objects/mine"):
        assert pair.same("sport", "GET", path).status == 200
    for query in [*shelf.queries(), f"collected_by_ids={mine},{source_id}&limit=1"]:
        for path in ("/flows", "/sources", "/objects/mine", f"/flows/{mine}/flow_collection"):
            pair.same("sport", "GET", path, query=query)
    for hidden in (shelf.member, shelf.flow_id, UNKNOWN):
        for body in ([{"id": hidden}], [{"id": init}, {"id": hidden}], [{"id": hidden}] * 2):
            path = f"/flows/{mine}/flow_collection"
            assert pair.same("sport", "PUT", path, json=body).status == 400
            put = flow(id=mine, source_id=source_id, tags=TAGS, flow_collection=body)
            assert pair.same("sport", "PUT", f"/flows/{mine}", json=put).status == 400
    for object_id in shelf.objects:
        body = {"object_id": object_id, "timerange": "[5:0_6:0)"}
        assert pair.same("sport", "POST", f"/flows/{mine}/segments", json=body).status == 400
        body = {**segment("[5:0_6:0)"), "object_id": "new", "init_object_id": object_id}
        assert pair.same("sport", "POST", f"/flows/{init}/segments", json=body).status == 400
        path = f"/objects/{object_id}"
        assert pair.same("sport", "GET", path).status == 404
        body = {"url": "https://example.com/x", "label": "x"}
        assert pair.same("sport", "POST", f"{path}/instances", json=body).status == 404
        assert pair.same("sport", "DELETE", f"{path}/instances?label=x").status == 404


def test_what_is_hidden_of_a_flow_outlives_a_write_by_who_does_not_see_it(pair: Pair) -> None:
    """R-AUTH-07: a document that is read and written back changes nothing."""
    ingest = pair.full.ingest("root")
    first, last, hidden, other = (ingest.flow(tags=tags) for tags in (TAGS, TAGS, NEWS, NEWS))
    order = [hidden, first, other, last]
    items = [{"id": id_, "role": f"role {id_}"} for id_ in order]
    mine = ingest.flow(tags=TAGS, flow_collection=items)
    sport, path = pair.full["sport"], f"/flows/{mine}/flow_collection"

    def stored() -> list[str]:
        return [one["id"] for one in pair.full["root"].get(path).json]

    before = pair.full["root"].get(f"/flows/{mine}").json
    read = sport.get(f"/flows/{mine}").json
    assert [one["id"] for one in read["flow_collection"]] == [first, last]
    assert sport.put(path, json=read["flow_collection"]).status == 204
    assert pair.full["root"].get(f"/flows/{mine}").json == before
    put = {name: read[name] for name in (*flow(), "flow_collection", "tags") if name in read}
    assert sport.put(f"/flows/{mine}", json=put).status == 204
    assert pair.full["root"].get(path).json == items
    assert sport.put(path, json=[{"id": last}, {"id": first}]).status == 204
    assert stored() == [hidden, last, first, other]
    assert sport.delete(path).status == 204
    assert stored() == [hidden, other]
    assert sport.get(path).json == []
