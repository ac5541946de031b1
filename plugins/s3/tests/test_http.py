"""Buckets as storage backends, through the API: the bytes go past the gateway."""

import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from tams_gateway_s3.store import S3Objects

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.waiting import eventually
from tests.deployments import Deployment

BYTES = bytes(range(256)) * 500


def send(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] = {}
) -> tuple[int, Mapping[str, str], bytes]:
    """Send a request as any client does, with these headers and no others of its own."""
    request = urllib.request.Request(url, body, dict(headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def backend(client: Client, label: str) -> str:
    [found] = [
        one["id"] for one in client.get("/service/storage-backends").json if one["label"] == label
    ]
    return str(found)


def uploaded(ingest: Ingest, flow_id: str, label: str) -> str:
    """Upload an object to a bucket, as B6 says: by URL and content type alone."""
    [made] = ingest.allocate(flow_id, limit=1, storage_id=backend(ingest.client, label))
    put = made["put_url"]
    assert put.keys() == {"url", "content-type"}
    status, *_ = send("PUT", put["url"], BYTES, {"Content-Type": put["content-type"]})
    assert status == 200
    return str(made["object_id"])


def urls(client: Client, flow_id: str, query: str = "") -> list[dict[str, Any]]:
    [segment] = client.get(f"/flows/{flow_id}/segments?{query}").json
    found: list[dict[str, Any]] = segment["get_urls"]
    return found


def test_bytes_go_in_and_out_past_the_gateway(client: Client, ingest: Ingest) -> None:
    """B6, B8, B27, B28."""
    flow_id = ingest.flow()
    ingest.register(flow_id, uploaded(ingest, flow_id, "hot"), seconds(0, 1))

    [signed] = urls(client, flow_id, "presigned=true")

    assert signed["label"] == "hot"
    assert signed["url"].partition("?")[0].endswith(".ts")
    status, headers, body = send("GET", signed["url"], None, {"Range": "bytes=5-9"})
    assert (status, body) == (206, BYTES[5:10])
    assert headers["Content-Type"] == "video/mp2t"
    [plain] = urls(client, flow_id, "presigned=false")
    assert "?" not in plain["url"]
    assert send("GET", plain["url"])[0] == 403


def test_a_put_url_takes_its_content_type_alone(ingest: Ingest) -> None:
    flow_id = ingest.flow()
    [made] = ingest.allocate(flow_id, limit=1, storage_id=backend(ingest.client, "hot"))
    url = made["put_url"]["url"]

    assert send("PUT", url, b"x", {"Content-Type": "text/html"})[0] == 403
    assert send("GET", url)[0] == 403
    assert send("PUT", f"{url}0", b"x", {"Content-Type": "video/mp2t"})[0] == 403


def copied(client: Client, object_id: str, label: str) -> str | None:
    found = client.get(f"/objects/{object_id}?presigned=true&accept_get_urls={label}").json
    return found["get_urls"][0]["url"] if found["get_urls"] else None


@pytest.mark.parametrize("target", ["cold", "main"])
def test_copies_are_made_by_the_server_or_through_the_gateway(
    client: Client, ingest: Ingest, deployment: Deployment, target: str
) -> None:
    """R-INS-01: to another bucket of the server, and to a directory of ours."""
    flow_id = ingest.flow()
    object_id = uploaded(ingest, flow_id, "hot")
    ingest.register(flow_id, object_id, seconds(0, 1))

    body = {"storage_id": backend(client, target)}
    assert client.post(f"/objects/{object_id}/instances", json=body).status == 201

    url = eventually(lambda: copied(client, object_id, target))
    assert url is not None
    got = client.get(url).body if target == "main" else send("GET", url)[2]
    assert got == BYTES


def test_what_is_deleted_is_gone_from_the_bucket(
    client: Client, ingest: Ingest, deployment: Deployment
) -> None:
    """R-OBJ-08: the last flow that used it is deleted, and its bytes go."""
    flow_id = ingest.flow()
    object_id = uploaded(ingest, flow_id, "hot")
    ingest.register(flow_id, object_id, seconds(0, 1))
    [signed] = urls(client, flow_id, "presigned=true")

    assert client.delete(f"/flows/{flow_id}").status == 204
    deployment.clock.advance(deployment.gateway.limits.object_lifetime + 1)
    deployment.gateway.wake()

    assert eventually(lambda: send("GET", signed["url"])[0] == 404)


@pytest.mark.parametrize("limits", [{"require_upload": True}])
def test_segments_without_bytes_are_refused_where_that_is_wanted(
    client: Client, ingest: Ingest
) -> None:
    flow_id = ingest.flow()
    [made] = ingest.allocate(flow_id, limit=1, storage_id=backend(client, "hot"))
    segment = {"object_id": made["object_id"], "timerange": seconds(0, 1)}
    assert client.post(f"/flows/{flow_id}/segments", json=segment).status == 400

    ingest.register(flow_id, uploaded(ingest, flow_id, "hot"), seconds(0, 1))


def test_what_was_registered_is_served_whatever_is_uploaded_later(
    client: Client, ingest: Ingest, deployment: Deployment
) -> None:
    """R-STO-13: the PUT URL still holds, but another version is recorded."""
    keep_versions(deployment, "hot")
    flow_id = ingest.flow()
    made = ingest.allocate(flow_id, limit=2, storage_id=backend(client, "hot"))
    puts = [one["put_url"]["url"] for one in made]
    header = {"Content-Type": "video/mp2t"}
    assert send("PUT", puts[0], b"draft", header)[0] == 200
    assert send("PUT", puts[0], BYTES, header)[0] == 200
    for index, one in enumerate(made):
        ingest.register(flow_id, one["object_id"], seconds(index, index + 1))

    for put in puts:
        assert send("PUT", put, b"another", header)[0] == 200

    first, late = (
        one["get_urls"][0]["url"]
        for one in client.get(f"/flows/{flow_id}/segments?presigned=true").json
    )
    assert send("GET", first)[2] == BYTES
    assert send("GET", late)[2] == b"another", "it had no bytes that could be registered"
    client.delete(f"/flows/{flow_id}")
    deployment.clock.advance(deployment.gateway.limits.object_lifetime + 1)
    deployment.gateway.wake()
    assert eventually(lambda: not versions(deployment, "hot"))


def keep_versions(deployment: Deployment, name: str) -> None:
    store = deployment.assembly.opened[f"objects.{name}"]
    assert isinstance(store, S3Objects)
    store.connection.client.put_bucket_versioning(
        Bucket=store.settings.bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def versions(deployment: Deployment, name: str) -> list[object]:
    store = deployment.assembly.opened[f"objects.{name}"]
    assert isinstance(store, S3Objects)
    found = store.connection.client.list_object_versions(Bucket=store.settings.bucket)
    return [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
