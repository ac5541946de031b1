"""Whatever is sent, nothing breaks, and what is refused changes nothing.

One fuzz draws requests from the official document, the other mutates the traffic of a client.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core import NotSet

from tams_gateway.operations import kinds
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.query import Query, SegmentQuery
from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.samples import flow, new_id, profile, segment
from tests.deployments import Deployment
from tests.spec.official import FOLDER, needs_document

CHANGING = {"POST", "PUT", "DELETE"}

OWN = (kinds.KEY, kinds.LEASE, kinds.CURSOR)
"""What the gateway keeps for itself; everything else is the clients'."""

in_process = pytest.mark.deployments("wsgi-memory", "asgi-memory")

Request = tuple[str, str, bytes]
"""Method, target, body."""


def dump(gateway: Gateway) -> list[object]:
    """Return all that the metadata store holds of clients."""
    found: list[object] = []
    for kind in kinds.ALL:
        if kind in OWN:
            continue
        page = gateway.metadata.find(Query(kind, limit=100_000))
        assert not page.more
        found += [(kind.name, record) for record in page.items]
        if kind.segments:
            for record in page.items:
                life = int(record.fields["life"])  # type: ignore[arg-type]
                query = SegmentQuery(record.id, life, limit=100_000)
                found += gateway.metadata.segments(query).items
    return found


def send(deployment: Deployment, request: Request) -> Answer:
    """Send a request, and insist on no failure, and no change where it is refused."""
    method, target, body = request
    before = dump(deployment.gateway)
    answer = deployment.client.request(method, target, body=body)
    assert answer.status < 500, f"{request}: {answer.body!r}"
    if answer.status >= 400 or method not in CHANGING:
        assert dump(deployment.gateway) == before, f"{request}: {answer.status} changed something"
    return answer


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
            ("DELETE", f"{one}/segments", {"timerange": "[50:0_60:0)"}, None),
            ("DELETE", f"{found}/instances", {"label": "no-such"}, None),
            ("DELETE", f"{one}/tags/none", {}, None),
            ("DELETE", f"/flows/{self.locked['id']}", {}, None),
        ]


TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "\x00", "\n", "'", "%", "_", "()", "[0:0_1:0)\n", "-0:0", "9" * 30, "\U0001f3ac", "true"]
)
VALUES = st.recursive(
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
    body = b"" if document is None else json.dumps(document).encode()
    if body and draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 9)) :]
    pairs = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in query.items())
    return method, f"{path}?{pairs}" if pairs else path, body


def encoded(value: object) -> str:
    return quote(str(value).encode("utf-8", "surrogatepass"), safe="")


FUZZ = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


@in_process
def test_mutated_traffic_breaks_nothing(deployment: Deployment) -> None:
    """R-GEN-02, R-GEN-05, R-EVT-05: no 5xx, and no trace of what was refused."""
    world = World(deployment.client)

    @settings(FUZZ, max_examples=300)
    @given(mutations(world))
    def fuzz(request: Request) -> None:
        send(deployment, request)

    fuzz()


@in_process
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"' + b"a" * 1_000_000,
        b"1" * 10_000,
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'"\\ud800"',
        b"-",
        b"Infinity",
    ],
)
def test_hostile_bodies_are_refused(deployment: Deployment, body: bytes) -> None:
    """R-GEN-10: depth and size have limits with clear errors."""
    world = World(deployment.client)
    for method, path, _, document in world.requests():
        if document is not None and not path.endswith(("/label", "/description")):
            answer = send(deployment, (method, path, body))
            assert answer.status in (400, 403), f"{method} {path}: {answer.status}"


@needs_document
@in_process
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_requests_of_the_document_break_nothing(
    deployment: Deployment, mode: GenerationMode
) -> None:
    """R-GEN-02, R-GEN-05: valid and invalid ones, on ids that exist and on others."""
    document = schemathesis.openapi.from_path(FOLDER / "tams-8.2.openapi.json")
    for found in document.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.method.upper() == "HEAD":
            continue
        fuzz_operation(deployment, operation, mode)


def fuzz_operation(deployment: Deployment, operation: Any, mode: GenerationMode) -> None:
    known = World(deployment.client).ids()
    meets = itertools.cycle((True, False))

    @settings(FUZZ, max_examples=6)
    @given(operation.as_strategy(generation_mode=mode))
    def fuzz(case: Any) -> None:
        send(deployment, as_request(case, known if next(meets) else {}))

    fuzz()


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
