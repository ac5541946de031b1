"""Looks at a gateway as clients do, after something has gone wrong."""

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Any

from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import Ingest
from tests.faults.model import span

Documents = Mapping[str, Mapping[str, Any]]
Segments = Mapping[str, list[Any]]
"""The segments of each flow, with presigned URLs."""


def everything(client: Client) -> tuple[Documents, Segments]:
    """Return all flows by id, and the segments of each; raises AssertionError for an overlap."""
    flows = client.listed("/flows", query="limit=1000")
    sources = Counter(one["id"] for one in client.listed("/sources", query="limit=1000"))
    assert sources == Counter(flow["source_id"] for flow in flows)
    segments = {}
    for flow in flows:
        query = {"limit": 1000, "presigned": True}
        found = client.listed(f"/flows/{flow['id']}/segments", query=query)
        spans = [span(one["timerange"]) for one in found]
        assert all(before[1] <= after[0] for before, after in pairwise(spans)), spans
        segments[flow["id"]] = found
    return {flow["id"]: flow for flow in flows}, segments


def urls(client: Client, segments: Segments) -> list[tuple[str, str]]:
    """Return a URL of each instance that the gateway serves, with its object's id.

    Each once: the URLs of an instance that two listings show differ in when they expire.
    """
    found = {
        (one["object_id"], url["url"].partition("?")[0]): url["url"]
        for listed in segments.values()
        for one in listed
        for url in one["get_urls"]
        if url["url"].startswith(f"{client.base}/media/")
    }
    return [(object_id, url) for (object_id, _), url in found.items()]


def backend_of(url: str) -> str:
    """Return the name of the storage backend that a URL of the gateway leads to."""
    return url.split("/media/")[1].partition("/")[0]


def digest(answer: Answer) -> str:
    """Return the SHA-256 of what a client got."""
    assert answer.status == 200, answer
    return sha256(answer.body).hexdigest()


def ingest(client: Client, flow_id: str | None = None) -> Counter[str]:
    """Bring something into each storage backend, which sweeps there what dead uploads left.

    It goes into a flow whose segments end before second 100 000, or a new one. Returns the new
    files, as `Opened.files` tells them.
    """
    sender = Ingest(client)
    flow_id = sender.flow() if flow_id is None else flow_id
    headers = {"content-type": "video/mp2t"}
    made: Counter[str] = Counter()
    for number, backend in enumerate(sender.storage_backends(), 100_000):
        [media_object] = sender.allocate(flow_id, storage_id=backend["id"])
        put_url = media_object["put_url"]["url"]
        assert 200 == client.put(put_url, body=b"new", headers=headers).status
        sender.register(flow_id, media_object["object_id"], f"[{number}:0_{number + 1}:0)")
        made[f"{backend_of(put_url)} {sha256(b'new').hexdigest()}"] += 1
    return made
