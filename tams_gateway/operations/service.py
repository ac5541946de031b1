"""The service itself: its root, its description (R-SVC)."""

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway import API_VERSION, __version__
from tams_gateway.domain.body import Body
from tams_gateway.operations import event_streams
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import SERVICE
from tams_gateway.operations.messages import Request, Response
from tams_gateway.storage.changes import ABSENT, Put

_ID = "service"


class _Posted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What clients may set; it outlives restarts and wins over the config (R-SVC-06)."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


_posted = Body(_Posted)


def get_root(gateway: Gateway, request: Request) -> Response:
    """Return the names of the paths below the root (R-SVC-07)."""
    return Response(body=b'["service","flows","sources","flow-delete-requests"]')


def get_service(gateway: Gateway, request: Request) -> Response:
    """Return what the service is and how long objects and URLs hold (R-SVC-01 to -05)."""
    stored, _ = _stored(gateway)
    limits = gateway.limits
    document: dict[str, object] = {
        "type": "urn:x-tams:service.gateway",
        "api_version": API_VERSION,
        "service_version": f"tams-gateway {__version__}",
        "min_object_timeout": f"{limits.min_object_timeout}:0",
        "min_presigned_url_timeout": f"{limits.min_presigned_url_timeout}:0",
    }
    for member in ("name", "description"):
        value = getattr(stored, member)
        if value is UNSET:
            value = getattr(gateway.service, member)
        if value is not None:
            document[member] = value
    streams = _event_streams(gateway)
    if streams:
        document["event_stream_mechanisms"] = streams
    return Response(body=msgspec.json.encode(document))


def _event_streams(gateway: Gateway) -> list[dict[str, str]]:
    """Return the ways to hear of events, each only where it works (R-SVC-05)."""
    found = []
    if gateway.webhooks is not None:
        found.append({"name": "webhooks"})
    if gateway.feed is not None:
        found.append({"name": event_streams.MECHANISM})
    return found


def post_service(gateway: Gateway, request: Request) -> Response:
    """Set the name and the description; an absent one stays as it is (R-SVC-06, G-22)."""
    posted = _posted.decode(request.body)
    stored, version = _stored(gateway)
    merged = _Posted(
        stored.name if posted.name is UNSET else posted.name,
        stored.description if posted.description is UNSET else posted.description,
    )
    if merged != stored:
        gateway.metadata.apply([Put(SERVICE, _ID, msgspec.json.encode(merged), {}, version)])
    return Response()


def _stored(gateway: Gateway) -> tuple[_Posted, int]:
    record = gateway.metadata.get(SERVICE, [_ID]).get(_ID)
    if record is None:
        return _Posted(), ABSENT
    return _posted.decode(record.body), record.version
