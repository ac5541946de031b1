"""Requests as clients send them, and the same with something wrong in them."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis.core import NotSet

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import flow, new_id, profile, segment

Request = tuple[str, str, bytes]
"""Method, target, body."""


class World:
    """A few resources of every kind, for requests to meet."""

    def __init__(self, client: Client) -> None:
        self.client = client
        made, member = profile(), flow("audio")
        self.flow = flow(
            label="a",
            description="b",
            tags={"a": "b", "c": ["d"]},
            max_bit_rate=5,
            flow_collection=[{"id": member["id"], "role": "sound"}],
        )
        self.locked = flow(read_only=True)
        self.profile = made["id"]
        self.object = f"object-{new_id()}"
        client.post(f"/service/profiles/{self.profile}", json=made)
        for document in (member, self.flow, self.locked):
            assert client.put(f"/flows/{document['id']}", json=document).status == 201
        body = [segment("[0:0_1:0)", self.object), segment("[1:0_2:0]")]
        assert client.post(f"/flows/{self.flow['id']}/segments", json=body).status == 201
        wish = {"limit": 1, "content_type": "application/json"}
        allocated = client.post(f"/flows/{self.flow['id']}/storage", json=wish)
        put_url = allocated.json["media_objects"][0]["put_url"]["url"]
        path, _, query = put_url.removeprefix(client.base).partition("?")
        self.upload = path, dict(parse_qsl(query))

    def ids(self) -> dict[str, list[str]]:
        """Return values for the parameters of paths that meet something."""
        return {
            "flowId": [self.flow["id"], self.locked["id"]],
            "sourceId": [self.flow["source_id"]],
            "profileId": [self.profile],
            "objectId": [self.object],
            "name": ["a"],
            "request-id": [new_id()],
            "webhookId": [new_id()],
        }

    def requests(self) -> list[tuple[str, str, dict[str, str], object]]:
        """Return what an honest client sends: method, path, query, JSON (None: no body)."""
        one = f"/flows/{self.flow['id']}"
        source = f"/sources/{self.flow['source_id']}"
        found = f"/objects/{self.object}"
        fresh = flow("data")
        made = profile("audio")
        listing = {"limit": "2", "reverse_order": "true", "tag.a": "b,c", "tag_exists.c": "false"}
        return [
            ("GET", "/flows", {**listing, "timerange": "[0:0_1:0)", "sort_by": "label"}, None),
            ("GET", "/flows", {"codec": "video/h264", "collected_by_ids": new_id()}, None),
            ("GET", "/sources", {**listing, "format": "urn:x-nmos:format:video"}, None),
            ("GET", "/service/profiles", {"limit": "1", "codec": "video/h264"}, None),
            ("GET", "/service/storage-backends", listing, None),
            ("GET", one, {"include_timerange": "true", "timerange": "(0:0_1:0]"}, None),
            ("GET", f"{one}/segments", {"timerange": "_5:0)", "presigned": "true"}, None),
            ("GET", found, {"flow_tag.a": "b", "accept_storage_ids": new_id()}, None),
            ("POST", "/service", {}, {"name": "a", "description": "b"}),
            ("POST", f"/service/profiles/{made['id']}", {}, made),
            ("PUT", f"/flows/{fresh['id']}", {}, fresh),
            ("PUT", one, {}, self.flow),
            ("PUT", f"{one}/label", {}, "text"),
            ("PUT", f"{one}/tags/a", {}, ["b"]),
            ("PUT", f"{one}/max_bit_rate", {}, 5),
            ("PUT", f"{one}/read_only", {}, False),
            ("PUT", f"{one}/flow_collection", {}, self.flow["flow_collection"]),
            ("PUT", f"{source}/description", {}, "text"),
            ("PUT", f"{source}/tags/x", {}, "y"),
            ("POST", f"{one}/segments", {}, segment("[5:0_6:0)", ts_offset="5:0")),
            ("POST", f"{one}/segments", {}, [segment("[7:0_8:0)"), segment("[8:0_9:0)")]),
            ("POST", f"{one}/storage", {}, {"limit": 1}),
            ("POST", f"{one}/storage", {}, {"object_ids": [new_id()], "presigned": True}),
            ("POST", f"{found}/instances", {}, {"url": "https://a.example/b", "label": "c"}),
            ("PUT", *self.upload, {"media": [1, 2, 3]}),
            ("GET", *self.upload, None),
            ("DELETE", f"{one}/segments", {"timerange": "[50:0_60:0)"}, None),
            ("DELETE", f"{found}/instances", {"label": "no-such"}, None),
            ("DELETE", f"{one}/tags/none", {}, None),
            ("DELETE", f"/flows/{self.locked['id']}", {}, None),
        ]


CHANGING: Final = {"POST", "PUT", "DELETE"}
METHODS: Final = ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")

TEXTS: Final = st.text(max_size=8) | st.sampled_from(
    ["", "\x00", "\n", "'", "%", "_", "()", "[0:0_1:0)\n", "-0:0", "9" * 30, "\U0001f3ac", "true"]
)
VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def places(document: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every value in a document, itself first."""
    yield path
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for name, value in pairs:
            yield from places(value, (*path, name))


def changed(document: Any, path: tuple[Any, ...], value: object, how: str) -> Any:
    """Return a copy with the value at a path replaced, removed, or given a new neighbour."""
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    if len(path) > 1:
        copy[path[0]] = changed(document[path[0]], path[1:], value, how)
    elif how == "remove":
        del copy[path[0]]
    elif how == "add" and isinstance(copy, dict):
        copy[f"{path[0]}x"] = value
    elif how == "add":
        copy.insert(path[0], copy[path[0]])
    else:
        copy[path[0]] = value
    return copy


@st.composite
def mutations(draw: st.DrawFn, world: World) -> Request:
    """Draw an honest request with something wrong in it, perhaps."""
    method, path, query, document = draw(st.sampled_from(world.requests()))
    if query and (document is None or draw(st.booleans())):
        name = draw(st.sampled_from(sorted(query)))
        query = {**query, draw(st.just(name) | TEXTS): draw(TEXTS)}
    elif document is not None:
        place = draw(st.sampled_from(list(places(document))))
        how = draw(st.sampled_from(["replace", "remove", "add"]))
        document = changed(document, place, draw(VALUES), how)
    if draw(st.integers(0, 15)) == 0:
        method = draw(st.sampled_from(METHODS))
    if draw(st.integers(0, 9)) == 0:
        parts = path.split("/")
        parts[draw(st.integers(1, len(parts) - 1))] = encoded(draw(TEXTS))
        path = "/".join(parts)
    body = b"" if document is None else json.dumps(document).encode()
    if body and draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 9)) :]
    pairs = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in query.items())
    return method, f"{path}?{pairs}" if pairs else path, body


def encoded(value: object) -> str:
    return quote(str(value).encode("utf-8", "surrogatepass"), safe="")


FUZZ: Final = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


def raw(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, default=repr).encode()


def as_request(case: Any, known: dict[str, list[str]]) -> Request:
    """Return a drawn case as a request; its path names what is `known`, where it is."""
    values = {**case.path_parameters, **{name: ids[0] for name, ids in known.items()}}
    path = re.sub(r"\{([^}]*)\}", lambda found: encoded(values[found[1]]), case.path)
    pairs = []
    for name, value in (case.query or {}).items():
        for one in value if isinstance(value, list) else [value]:
            pairs.append(f"{encoded(name)}={encoded(one)}")
    body = b"" if isinstance(case.body, NotSet) else raw(case.body)
    return case.method.upper(), f"{path}?{'&'.join(pairs)}" if pairs else path, body
