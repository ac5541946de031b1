"""Events, made where their cause is: the outbox gets them in the same `apply` (R-EVT)."""

from collections.abc import Iterable

import msgspec

from tams_gateway.domain.flow import Flow
from tams_gateway.domain.source import Source
from tams_gateway.domain.tags import auth_classes
from tams_gateway.events.event import Event, EventType


def flow_event(
    type_: EventType, at_ns: int, body: object, flow: Flow, source_collectors: Iterable[str]
) -> Event:
    """Return an event about a flow or its segments; `body` is its `event` member."""
    fields: dict[str, str | frozenset[str]] = {
        "flow_id": flow.id,
        "source_id": flow.source_id,
        "flow_collected_by": frozenset(flow.collectors),
        "source_collected_by": frozenset(source_collectors),
        "auth_classes": auth_classes(flow.tags),
    }
    return Event(type_, at_ns, msgspec.json.encode(body), fields)


def source_event(type_: EventType, at_ns: int, body: object, source: Source) -> Event:
    """Return an event about a source; `body` is its `event` member."""
    fields: dict[str, str | frozenset[str]] = {
        "source_id": source.id,
        "source_collected_by": frozenset(source.collectors),
        "auth_classes": auth_classes(source.tags),
    }
    return Event(type_, at_ns, msgspec.json.encode(body), fields)
