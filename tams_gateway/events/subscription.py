"""Which events a receiver asked for (R-WHK-14 to -19)."""

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.events.event import Event, EventType


class Subscription(msgspec.Struct, frozen=True):
    """The types of event, and filters that must all pass; one that is unset lets all pass.

    Filters of flows let every event about a source pass. An empty list of collectors asks for what
    nothing collects.
    """

    events: tuple[EventType, ...]
    flow_ids: tuple[str, ...] | UnsetType = UNSET
    source_ids: tuple[str, ...] | UnsetType = UNSET
    flow_collected_by_ids: tuple[str, ...] | UnsetType = UNSET
    source_collected_by_ids: tuple[str, ...] | UnsetType = UNSET


def wants(asked: Subscription, event: Event) -> bool:
    """Whether the receiver asked for the event, by what its fields say of that moment.

    It is called for each receiver and event, and looks at nothing else.
    """
    if event.type not in asked.events:
        return False
    fields = event.fields
    if asked.source_ids is not UNSET and fields.get("source_id") not in asked.source_ids:
        return False
    if not _collected(fields, "source_collected_by", asked.source_collected_by_ids):
        return False
    flow_id = fields.get("flow_id")
    if flow_id is None:
        return True
    if asked.flow_ids is not UNSET and flow_id not in asked.flow_ids:
        return False
    return _collected(fields, "flow_collected_by", asked.flow_collected_by_ids)


def _collected(
    fields: Mapping[str, str | frozenset[str]], name: str, wanted: tuple[str, ...] | UnsetType
) -> bool:
    if wanted is UNSET:
        return True
    collectors = fields.get(name, frozenset())
    assert isinstance(collectors, frozenset)
    return not collectors.isdisjoint(wanted) if wanted else not collectors
