"""All that a metadata store holds, as a stream of plain entries: what a backup is made of."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import msgspec

from tams_gateway.events.event import Event
from tams_gateway.storage.records import Kind, Record, Segment


class KindEntry(msgspec.Struct, frozen=True, tag="records"):
    """Some records of a kind, in ascending order of their ids across all entries of the kind."""

    kind: Kind
    records: Sequence[Record]


class LifeEntry(msgspec.Struct, frozen=True, tag="segments"):
    """Some segments of one life of a flow, in their order across all entries of the life."""

    flow_id: str
    life: int
    segments: Sequence[Segment]


class OutboxEntry(msgspec.Struct, frozen=True, tag="events"):
    """Some events of the outbox, in their order across all such entries."""

    events: Sequence[Event]


Entry: TypeAlias = KindEntry | LifeEntry | OutboxEntry


class Content(Iterator[Entry], Protocol):
    """Entries one by one, as a generator gives them; whoever asked for them closes them."""

    def close(self) -> None:
        """Release what is held, whether or not all was read."""
