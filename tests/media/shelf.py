"""Files of media on their way into a flow and back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tams_gateway.domain.timerange import format_timestamp
from tams_gateway.testing.ingest import Ingest


def span(start: int, end: int) -> str:
    """Return the timerange from one nanosecond up to another."""
    return f"[{format_timestamp(start)}_{format_timestamp(end)})"


def upload(ingest: Ingest, flow_id: str, files: Sequence[Path], **wishes: Any) -> list[str]:
    """Store each file in an object of its own, by nothing but what the API tells."""
    allocated = ingest.allocate(flow_id, limit=len(files), **wishes)
    for file, media_object in zip(files, allocated, strict=True):
        put = media_object["put_url"]
        headers = {"Content-Type": put["content-type"], **put.get("headers", {})}
        answer = ingest.client.put(put["url"], body=file.read_bytes(), headers=headers)
        assert answer.status == 200
    return [str(media_object["object_id"]) for media_object in allocated]


def fetch(ingest: Ingest, segment: dict[str, Any]) -> bytes:
    """Read the bytes of a segment's object, or of an init object, at its first URL."""
    answer = ingest.client.get(segment["get_urls"][0]["url"])
    assert answer.status == 200
    return answer.body


def pages(ingest: Ingest, flow_id: str, query: str) -> list[bytes]:
    """Read the bytes of all segments that a query finds, page by page."""
    segments = ingest.client.listed(f"/flows/{flow_id}/segments", query=query)
    return [fetch(ingest, segment) for segment in segments]
