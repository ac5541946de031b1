"""The contract of event sinks."""

from collections.abc import Sequence
from typing import Protocol

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event


class EventSink(Protocol):
    """Delivers events to somebody, after their commit and outside every request."""

    def deliver(self, events: Sequence[Event]) -> None:
        """Deliver the events in order; on return they count as delivered.

        It is called by one thread at a time, may block, and gets at most 100 events. The order
        holds for the events of one flow or source. Whatever it raises, the same events come again
        later, from the first one on; and a delivery may be repeated whole when another process
        takes over.
        """

    def check(self) -> Health:
        """Say whether deliveries work; does not raise."""

    def close(self) -> None:
        """Release what is held; no call follows."""
