"""Requests that a gateway may be killed in, each with what comes and goes by it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment as external
from tests.faults.recording.opened import opened
from tests.faults.recording.steps import Request

MANY: Final = 105
"""Segments: more than the background takes at a time."""

MEDIA: Final = {"content-type": "video/mp2t"}

Fact = tuple[str, ...]
"""What a client can see: `flow ID`, `segment FLOW TIMERANGE OBJECT`, and with a SHA-256 each
`media OBJECT BACKEND` of a segment's object and `upload PATH` of what lies where it was sent."""


class Prepared(NamedTuple):
    """A folder with something of everything: the facts, and ids by name.

    All three flows use the object `used`, and the large and the small one another of that name, of
    which the small one has a copy. `empty`, `first` and `other` are allocated, the latter two with
    their bytes; `targets` are their paths.
    """

    folder: Path
    facts: frozenset[Fact]
    flows: Mapping[str, str]
    objects: Mapping[str, str]
    targets: Mapping[str, str]
    second: str


class Case(NamedTuple):
    """A request, and the facts that come and go by it.

    `gradually` if it is acknowledged, and seen in part, before all of it is done. One in `every`
    steps is taken. `grows` is a flow that takes more afterwards.
    """

    request: Request
    new: Iterable[Fact] = ()
    gone: Iterable[Fact] = ()
    gradually: bool = False
    every: int = 1
    grows: str = "main"


def bytes_of(name: str) -> bytes:
    """Return the content of the object of that name."""
    return name.encode() * 50_000


def sha(name: str) -> str:
    """Return its SHA-256."""
    return sha256(bytes_of(name)).hexdigest()


def prepare(folder: Path) -> Prepared:
    """Bring all of it into an empty folder."""
    with opened(folder) as gateway:
        sender = Ingest(gateway.client)
        flows = {name: sender.flow() for name in ("main", "large", "small")}
        objects, targets = {}, {}
        for name in ("empty", "first", "other", "used", "large", "small"):
            [made] = sender.allocate(flows.get(name, flows["main"]))
            objects[name] = made["object_id"]
            targets[name] = made["put_url"]["url"].removeprefix(gateway.client.base)
            if name != "empty":
                answer = gateway.client.put(targets[name], body=bytes_of(name), headers=MEDIA)
                assert 200 == answer.status
        segments = [("main", 0, "used"), ("large", MANY, "used"), ("small", 0, "used")]
        segments += [("large", MANY + 1, "large"), ("small", 1, "small")]
        for flow, at, name in segments:
            timerange = seconds(at, at + 1)
            sender.register(flows[flow], objects[name], timerange, ts_offset=f"{at}:0")
        far = [external(seconds(at, at + 1)) for at in range(MANY)]
        sender.add_many(flows["large"], far)
        second = sender.storage_backends()[1]["id"]
        path = f"/objects/{objects['small']}/instances"
        assert 201 == gateway.client.post(path, json={"storage_id": second}).status
        gateway.work()
    facts = [
        *(("flow", flow_id) for flow_id in flows.values()),
        *(("segment", flows[f], seconds(at, at + 1), objects[o]) for f, at, o in segments),
        *(("segment", flows["large"], one["timerange"], one["object_id"]) for one in far),
        *(("media", objects[name], "main", sha(name)) for name in ("used", "large", "small")),
        ("media", objects["small"], "second", sha("small")),
        *(("upload", targets[name], sha(name)) for name in ("first", "other")),
    ]
    allocated = {name: targets[name] for name in ("empty", "first", "other")}
    return Prepared(folder, frozenset(facts), flows, objects, allocated, second)


def upload(there: Prepared) -> Case:
    target = there.targets["empty"]
    request = Request("PUT", target, {"body": bytes_of("empty"), "headers": MEDIA})
    return Case(request, [("upload", target, sha("empty"))])


def upload_again(there: Prepared) -> Case:
    target = there.targets["first"]
    request = Request("PUT", target, {"body": bytes_of("later"), "headers": MEDIA})
    former = ("upload", target, sha("first"))
    return Case(request, [("upload", target, sha("later"))], [former])


def post_one(there: Prepared) -> Case:
    return _post(there, ["first"], 0)


def post_many(there: Prepared) -> Case:
    """Of uploaded objects, of one that is used, and of such as lie elsewhere."""
    return _post(there, ["first", "other", "used"], 5)


def _post(there: Prepared, names: list[str], elsewhere: int) -> Case:
    flow_id = there.flows["main"]
    sent = [
        {"object_id": there.objects[name], "timerange": seconds(at, at + 1), "ts_offset": f"{at}:0"}
        for at, name in enumerate(names, 10)
    ]
    sent += [external(seconds(at, at + 1)) for at in range(20, 20 + elsewhere)]
    new = [("segment", flow_id, one["timerange"], one["object_id"]) for one in sent]
    new += [("media", there.objects[name], "main", sha(name)) for name in names]
    body = sent if len(sent) > 1 else sent[0]
    return Case(Request("POST", f"/flows/{flow_id}/segments", {"json": body}), new)


def delete_large_flow(there: Prepared) -> Case:
    """In the background."""
    return _delete(there, "large")._replace(every=6)


def delete_small_flow(there: Prepared) -> Case:
    """Before the answer, unless the process dies."""
    return _delete(there, "small")._replace(every=4)


def _delete(there: Prepared, name: str) -> Case:
    flow_id = there.flows[name]
    gone = [one for one in there.facts if flow_id in one or there.objects[name] in one]
    return Case(Request("DELETE", f"/flows/{flow_id}", works=True), gone=gone)


def delete_segments(there: Prepared) -> Case:
    """All but the first, in the background."""
    flow_id = there.flows["large"]
    query = {"timerange": f"[1:0_{MANY + 2}:0)"}
    request = Request("DELETE", f"/flows/{flow_id}/segments", {"query": query}, works=True)
    kept = ("segment", flow_id, seconds(0, 1))
    gone = {one for one in there.facts if one[:2] == kept[:2] and one[:3] != kept}
    gone |= {("media", there.objects["large"], "main", sha("large"))}
    return Case(request, gone=gone, gradually=True, every=6, grows="large")


def copy(there: Prepared) -> Case:
    object_id = there.objects["used"]
    sent = {"json": {"storage_id": there.second}}
    request = Request("POST", f"/objects/{object_id}/instances", sent, works=True)
    return Case(request, [("media", object_id, "second", sha("used"))], gradually=True)


def withdraw(there: Prepared) -> Case:
    """The deletion of an instance."""
    object_id = there.objects["small"]
    query = {"query": {"storage_id": there.second}}
    request = Request("DELETE", f"/objects/{object_id}/instances", query, works=True)
    return Case(request, gone=[("media", object_id, "second", sha("small"))], every=3)


CASES: Final[Sequence[Callable[[Prepared], Case]]] = (
    upload,
    upload_again,
    post_one,
    post_many,
    delete_large_flow,
    delete_small_flow,
    delete_segments,
    copy,
    withdraw,
)
