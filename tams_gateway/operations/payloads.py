"""Events as their receivers get them (R-WHK-20, R-EVT): their body, in the envelope of the spec."""

from datetime import UTC, datetime

import msgspec

from tams_gateway.auth.access import Permission
from tams_gateway.auth.principal import Principal
from tams_gateway.domain.timerange import SECOND
from tams_gateway.events.event import Event
from tams_gateway.events.rendering import Shape
from tams_gateway.operations.gateway import Gateway


def render(gateway: Gateway, event: Event, shape: Shape, principal: Principal) -> bytes | None:
    """Return the JSON of an event, None where the principal may not read what it is about."""
    classes = event.fields.get("auth_classes", frozenset())
    assert isinstance(classes, frozenset)
    if not gateway.policy.access(principal).may(Permission.READ, classes):
        return None
    return msgspec.json.encode(
        {
            "event_timestamp": timestamp(event.at_ns),
            "event_type": event.type,
            "event": msgspec.Raw(event.body),
        }
    )


def timestamp(at_ns: int) -> str:
    """Return the time of an event, with the microseconds by which receivers order them."""
    whole, rest = divmod(at_ns, SECOND)
    moment = datetime.fromtimestamp(whole, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06}Z"
