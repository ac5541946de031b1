"""The events of TAMS (R-EVT)."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

EventType: TypeAlias = Literal[
    "flows/created",
    "flows/updated",
    "flows/deleted",
    "flows/segments_added",
    "flows/segments_deleted",
    "sources/created",
    "sources/updated",
    "sources/deleted",
]


class Event(msgspec.Struct, frozen=True):
    """One event as it stands in the outbox.

    `at_ns` is its time in nanoseconds since 1970, `body` the JSON of its `event` member.
    `fields` holds, as they were at that moment, what filters and visibility need when the
    resource is long gone: `flow_id` and `source_id` (texts), `flow_collected_by`,
    `source_collected_by` and `auth_classes` (sets of texts), each only where it applies; what has
    no class holds `UNCLASSIFIED`.
    Segments in `flows/segments_added` are without their URLs: a sink adds those.
    """

    type: EventType
    at_ns: int
    body: bytes
    fields: Mapping[str, str | frozenset[str]] = {}
