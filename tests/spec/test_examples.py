"""The examples of the official document: those that a client can send are accepted.

What they refer to is made before; where an example is faulty, its erratum says how.
"""

from typing import Any

from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import flow, new_id, segment
from tests.spec.official import FOLDER, PRESENT, example, needs_document

pytestmark = needs_document

SERVER_ONLY = {
    "deletion-request-get-200",
    "deletion-requests-get-200",
    "flow-segment-partial-failure",
    "flow-segments-get-200-multiple-urls",
    "flow-storage-post-201",
    "flow-storage-post-201-wav",
    "objects-get-200",
    "objects-get-200-init",
    "service-get-200",
    "source-get-200-basic",
    "source-get-200-multi",
    "source-get-200-tags",
    "sources-get-200",
    "storage-backends-get-200",
}
"""What only a server sends."""

WEBHOOKS = {"webhook-get-200", "webhook-get-200-list", "webhook-post", "webhook-put"}
"""Accepted where the webhooks are: by the events plugin."""

FLOWS = {
    *["flow-put", "flow-put-201", "flow-put-multi", "flow-put-profile", "flows-get-200"],
    *[f"flow-get-200-{name}" for name in ("audio-aac", "audio-aac-multi", "audio-wav")],
    *[
        f"flow-get-200-{name}"
        for name in ("data-ttml", "image-jpeg", "multi", "multi-container-map")
    ],
    *[
        f"flow-get-200-video-{name}"
        for name in ("h264", "h264-cleanfeed", "h264-fmp4", "h264-mxf", "h264-vfr")
    ],
    *[f"flow-get-200-video-{name}" for name in ("jpeg-jp2", "jpeg-mxf", "raw")],
}

PROFILES = {
    *["profile-put", "profile-post-201", "profiles-get-200", "profile-get-200-image"],
    *["profile-get-200-video-h264", "profile-get-200-video-h264-mxf"],
}

SEGMENTS = {
    *["flow-segment-post", "flow-segments-get-200", "flow-segments-get-200-init"],
    "flow-segments-get-200-object-timerange",
}

OTHERS = {
    *["flow-collection-get-200", "flow-collection-put", "flow-tags-get-200", "service-post"],
    *["flow-storage-post", "flow-storage-post-object_ids"],
    *["objects-instances-controlled-post", "objects-instances-uncontrolled-post"],
}


def documents(name: str) -> list[dict[str, Any]]:
    """Return the one document of an example, or all of its list."""
    found = example(name)
    return found if isinstance(found, list) else [found]


def ready(client: Client, *ids: str) -> None:
    """Put a flow for each id, so that examples may refer to it."""
    for one in ids:
        if client.get(f"/flows/{one}").status == 404:
            client.put(f"/flows/{one}", json=flow("data", id=one))


def container(**members: Any) -> dict[str, Any]:
    return flow(container="video/mp2t", **members)


def put(client: Client, document: dict[str, Any]) -> None:
    """Put a flow of an example on a gateway that has all that it refers to."""
    document = dict(document)
    if document.get("created") == "2023-12-14T16:34:58.131620":
        document["created"] += "Z"  # Erratum 1: no offset.
    items = [one for one in document.get("flow_collection", []) if one["id"] != document["id"]]
    if "flow_collection" in document:
        document["flow_collection"] = items  # Erratum 3: the flow collects itself.
    ready(client, *(one["id"] for one in items))
    if "profile_id" in document and "format" in document:
        part = {name: document.pop(name) for name in TECHNICAL if name in document}
        made = {"id": document["profile_id"], "flow_metadata": part}
        client.post(f"/service/profiles/{made['id']}", json=made)
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status in (201, 204), f"{document}: {answer.body!r}"


TECHNICAL = {
    *["format", "codec", "container", "avg_bit_rate", "segment_duration", "container_mapping"],
    "essence_parameters",
}


def test_every_example_is_accounted_for() -> None:
    """None of the 56 is forgotten."""
    names = (
        {path.stem for path in (FOLDER / "api" / "examples").glob("*.json")} if PRESENT else set()
    )

    assert names == SERVER_ONLY | WEBHOOKS | FLOWS | PROFILES | SEGMENTS | OTHERS
    assert len(names) == 56


def test_the_service_of_the_example_is_posted(client: Client) -> None:
    """R-SVC-06."""
    assert client.post("/service", json=example("service-post")).status == 200


def test_profiles_of_the_examples_are_posted(client: Client) -> None:
    """R-PRF-01, R-PRF-04."""
    for name in PROFILES:
        for document in documents(name):
            posted = {**document, "id": new_id()}
            answer = client.post(f"/service/profiles/{posted['id']}", json=posted)
            assert answer.status == 201, f"{name}: {answer.body!r}"


def test_flows_of_the_examples_are_put(client: Client) -> None:
    """R-FLW-01, R-FLW-07, B10: each on its own id, apart from the others."""
    profile = example("profile-put")
    client.post(f"/service/profiles/{profile['id']}", json=profile)
    for name in sorted(FLOWS):
        for document in documents(name):
            put(client, {**document, "id": new_id(), "source_id": new_id()})


def test_a_flow_of_an_example_shows_what_was_put(client: Client) -> None:
    """B31."""
    document = example("flow-put")

    assert client.put(f"/flows/{document['id']}", json=document).status == 201
    shown = client.get(f"/flows/{document['id']}").json
    assert {name: shown[name] for name in document} == document


def test_collections_of_the_examples_are_put(client: Client) -> None:
    """R-COL-01, R-COL-02."""
    for name in ("flow-collection-put", "flow-collection-get-200"):
        items = example(name)
        ready(client, *(one["id"] for one in items))
        whole = flow("multi")
        client.put(f"/flows/{whole['id']}", json=whole)
        assert client.put(f"/flows/{whole['id']}/flow_collection", json=items).status == 204
        assert client.get(f"/flows/{whole['id']}/flow_collection").json == items


def test_tags_of_the_example_are_put(client: Client) -> None:
    """R-FPR-01."""
    document = flow()
    client.put(f"/flows/{document['id']}", json=document)
    tags = example("flow-tags-get-200")

    for name, value in tags.items():
        assert client.put(f"/flows/{document['id']}/tags/{name}", json=value).status == 204
    assert client.get(f"/flows/{document['id']}/tags").json == tags


def test_storage_of_the_examples_is_allocated(client: Client) -> None:
    """R-STO-01, R-STO-03, R-STO-04: on a backend that exists."""
    document = flow()
    client.put(f"/flows/{document['id']}", json=document)
    backend = client.get("/service/storage-backends").json[0]["id"]
    for name in ("flow-storage-post", "flow-storage-post-object_ids"):
        wishes = example(name)
        if "storage_id" in wishes:
            wishes["storage_id"] = backend
        answer = client.post(f"/flows/{document['id']}/storage", json=wishes)
        assert answer.status == 201, f"{name}: {answer.body!r}"


def test_segments_of_the_examples_are_posted(client: Client) -> None:
    """R-SEG-10, R-SEG-21, B11: of objects that lie elsewhere, at the URLs of the example."""
    for name in sorted(SEGMENTS):
        items = documents(name)
        init = {one["init_object"]["object_id"] for one in items if "init_object" in one}
        document = flow()
        document["essence_parameters"]["init_segments"] = bool(init)
        path = f"/flows/{document['id']}"
        assert client.put(path, json=document).status == 201
        if init:
            allocated = client.post(f"{path}/storage", json={"object_ids": sorted(init)})
            assert allocated.status == 201
        for one in items:
            answer = client.post(f"{path}/segments", json=to_post(one))
            assert answer.status == 201, f"{name}: {one}: {answer.body!r}"
        client.delete(path)


def to_post(item: dict[str, Any]) -> dict[str, Any]:
    """Return a segment as a client would post it that was given this one."""
    posted = {name: value for name, value in item.items() if name != "init_object"}
    if "init_object" in item:
        posted["init_object_id"] = item["init_object"]["object_id"]
    labels = {url.get("label"): url["url"] for url in item.get("get_urls", [])}
    urls = [{"label": label or "elsewhere", "url": url} for label, url in labels.items()]
    posted["get_urls"] = urls or [{"label": "elsewhere", "url": "https://media.example/a.ts"}]
    if "object_timerange" in item:
        # Erratum 4: one lies outside its object, and one object has two timeranges.
        posted["object_id"] += item["timerange"]
        posted["object_timerange"] = item["timerange"]
        posted.pop("ts_offset", None)
    return posted


def test_instances_of_the_examples_are_added(client: Client) -> None:
    """R-INS-01, R-INS-03: one elsewhere, and a copy on another backend."""
    document = flow()
    path = f"/flows/{document['id']}"
    client.put(path, json=document)
    client.post(f"{path}/segments", json=segment("[0:0_1:0)", "object"))
    uncontrolled = example("objects-instances-uncontrolled-post")
    assert client.post("/objects/object/instances", json=uncontrolled).status == 201

    allocated = client.post(f"{path}/storage", json={"limit": 1}).json["media_objects"][0]
    upload = allocated["put_url"]
    put_bytes = client.put(
        upload["url"], body=b"x", headers={"Content-Type": upload["content-type"]}
    )
    assert put_bytes.status in (200, 201, 204)
    object_id = allocated["object_id"]
    body = {"object_id": object_id, "timerange": "[1:0_2:0)"}
    assert client.post(f"{path}/segments", json=body).status == 201
    controlled = example("objects-instances-controlled-post")
    backends = client.get("/service/storage-backends").json
    controlled["storage_id"] = next(one["id"] for one in backends if not one["default_storage"])
    answer = client.post(f"/objects/{object_id}/instances", json=controlled)
    assert answer.status == 201, answer.body
