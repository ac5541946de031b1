"""The everyday moves of a client that brings media in: for tests, each insists on success."""

from collections.abc import Mapping, Sequence
from typing import Any

from tams_gateway.testing import samples
from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.samples import Document


class Ingest:
    """Makes flows, allocates storage and registers segments through one client.

    Every method asserts that the service took the request, and returns what it told; what is to
    be refused goes through `client` itself.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def flow(self, flow_id: str | None = None, **members: Any) -> str:
        """Put a flow of MPEG-TS video, with these members instead; one of None is left out."""
        document = samples.flow(**({"id": flow_id} if flow_id else {}), **members)
        flow_id = str(document["id"])
        _expect(self.client.put(f"/flows/{flow_id}", json=document), 201, 204)
        return flow_id

    def init_flow(self, flow_id: str | None = None, **members: Any) -> str:
        """Put a flow of fragmented MP4, whose objects need an init object each."""
        essence = {
            "frame_width": 1920,
            "frame_height": 1080,
            "frame_rate": {"numerator": 25},
            "init_segments": True,
        }
        members = {"container": "video/iso.segment", "essence_parameters": essence, **members}
        return self.flow(flow_id, **members)

    def allocate(self, flow_id: str, **wishes: Any) -> list[Document]:
        """Allocate storage, one object unless `wishes` say otherwise; return the media objects."""
        if "object_ids" not in wishes:
            wishes = {"limit": 1, **wishes}
        answer = _expect(self.client.post(f"/flows/{flow_id}/storage", json=wishes), 201)
        objects: list[Document] = answer.json["media_objects"]
        return objects

    def allocated(self, flow_id: str, **wishes: Any) -> str:
        """Allocate one object and return its id."""
        return str(self.allocate(flow_id, **wishes)[0]["object_id"])

    def register(self, flow_id: str, object_id: str, timerange: str, **members: Any) -> None:
        """Add a segment of an object that the service knows."""
        segment = {"object_id": object_id, "timerange": timerange, **members}
        _expect(self.client.post(f"/flows/{flow_id}/segments", json=segment), 201)

    def add(self, flow_id: str, timerange: str, object_id: str | None = None, **more: Any) -> str:
        """Add a segment of a new external object; return the object's id."""
        segment = samples.segment(timerange, object_id, **more)
        _expect(self.client.post(f"/flows/{flow_id}/segments", json=segment), 201)
        return str(segment["object_id"])

    def add_many(self, flow_id: str, segments: Sequence[Document]) -> None:
        """Add all of the segments with one request."""
        _expect(self.client.post(f"/flows/{flow_id}/segments", json=list(segments)), 201)

    def segments(self, flow_id: str, query: Mapping[str, str] | None = None) -> list[Document]:
        """Return one page of a flow's segments."""
        answer = _expect(self.client.get(f"/flows/{flow_id}/segments", query=query), 200)
        found: list[Document] = answer.json
        return found

    def timeranges(self, flow_id: str, query: Mapping[str, str] | None = None) -> list[str]:
        """Return the timeranges of one page of a flow's segments."""
        return [segment["timerange"] for segment in self.segments(flow_id, query)]

    def document(self, flow_id: str, query: Mapping[str, str] | None = None) -> Document:
        """Return the document of a flow."""
        found: Document = _expect(self.client.get(f"/flows/{flow_id}", query=query), 200).json
        return found

    def media_object(self, object_id: str, query: Mapping[str, str] | None = None) -> Document:
        """Return the document of an object whose id needs no escape."""
        answer = _expect(self.client.get(f"/objects/{object_id}", query=query), 200)
        found: Document = answer.json
        return found

    def storage_backends(self) -> list[Document]:
        """Return the storage backends, the default one first."""
        answer = _expect(self.client.get("/service/storage-backends"), 200)
        return sorted(answer.json, key=lambda backend: not backend.get("default_storage", False))

    def set_read_only(self, flow_id: str, value: bool) -> None:
        """Forbid or allow changes of a flow."""
        _expect(self.client.put(f"/flows/{flow_id}/read_only", json=value), 204)


def seconds(first: int, last: int) -> str:
    """Return the timerange from one whole second up to another."""
    return f"[{first}:0_{last}:0)"


def _expect(answer: Answer, *statuses: int) -> Answer:
    assert answer.status in statuses, f"{answer.status}, not {statuses}: {answer.body[:2000]!r}"
    return answer
