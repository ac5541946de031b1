"""Events as their receivers get them (R-WHK-20, R-EVT): their body, in the envelope of the spec."""

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Raw

from tams_gateway.auth.access import Permission
from tams_gateway.auth.principal import Principal
from tams_gateway.domain.timerange import SECOND
from tams_gateway.events.event import Event
from tams_gateway.events.rendering import Shape
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW, SOURCE
from tams_gateway.operations.messages import Request
from tams_gateway.operations.segments import segment_documents, unshown_segment
from tams_gateway.operations.urls import UrlFilter
from tams_gateway.operations.visibility import shown_documents


class _Added(msgspec.Struct):
    """The body of `flows/segments_added`."""

    flow_id: str
    segments: list[Raw]


_added = msgspec.json.Decoder(_Added)

_WITH_RELATIONS: Final = {"flows/created", "flows/updated", "sources/created", "sources/updated"}
"""The events that show a whole flow or source."""

_told = msgspec.json.Decoder(dict[str, Raw])


def render(gateway: Gateway, event: Event, shape: Shape, principal: Principal) -> bytes | None:
    """Return the JSON of an event, None where the principal may not read what it is about."""
    classes = event.fields.get("auth_classes", frozenset())
    assert isinstance(classes, frozenset)
    request = Request(
        method="GET",
        base=shape.base,
        principal=principal,
        access=gateway.policy.access(principal),
    )
    if not request.access.may(Permission.READ, classes):
        return None
    return msgspec.json.encode(
        {
            "event_timestamp": timestamp(event.at_ns),
            "event_type": event.type,
            "event": _body(gateway, request, event, shape),
        }
    )


def _body(gateway: Gateway, request: Request, event: Event, shape: Shape) -> Raw | _Added:
    """Return the `event` member; segments as GET would show them to the receiver now."""
    if event.type in _WITH_RELATIONS and not request.access.everything:
        return _without_hidden(gateway, request, event.body)
    wanted = UrlFilter(
        shape.accept_get_urls, shape.accept_storage_ids, shape.presigned, shape.verbose_storage
    )
    with_timerange = shape.include_object_timerange
    if event.type != "flows/segments_added" or (wanted.wants_none and not with_timerange):
        return Raw(event.body)
    added = _added.decode(event.body)
    segments = [unshown_segment(bytes(one)) for one in added.segments]
    documents = segment_documents(gateway, request, wanted, segments, with_timerange)
    return _Added(added.flow_id, [Raw(one) for one in documents])


def _without_hidden(gateway: Gateway, request: Request, body: bytes) -> Raw:
    """Leave out the flows or sources, related to the one told of, that may not be read."""
    [(what, document)] = _told.decode(body).items()
    kind = FLOW if what == "flow" else SOURCE
    [shown] = shown_documents(gateway, request.access, kind, [bytes(document)])
    return Raw(msgspec.json.encode({what: Raw(shown)}))


def timestamp(at_ns: int) -> str:
    """Return the time of an event, with the microseconds by which receivers order them."""
    whole, rest = divmod(at_ns, SECOND)
    moment = datetime.fromtimestamp(whole, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06}Z"
