"""The contract of event sinks."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

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


@runtime_checkable
class FollowsOutbox(EventSink, Protocol):
    """A sink that reads the outbox itself, at a pace for each of its receivers.

    Its `deliver` is never called. The outbox keeps events for `limits.event_lifetime`. One thread
    calls these methods; they return soon, and what they raise is logged and told in `/ready`.
    """

    def activate(self, active: bool) -> None:
        """Begin to deliver, or leave it to another process; told again after each look."""

    def wake(self) -> None:
        """Look for events at once: this process has committed some."""


@runtime_checkable
class DeliversWebhooks(Protocol):
    """A sink that delivers to the registered webhooks; with one the API has `/service/webhooks`.

    The gateway keeps the webhooks as records of the kind `webhook`, whose body is a
    `StoredWebhook`; the sink reads them there, and writes their status.
    """

    def objection(self, url: str) -> str | None:
        """Say why a URL may not be registered; None if it may (R-WHK-03, G-11)."""

    def seal(self, webhook_id: str, value: str) -> str:
        """Return the text under which an API key is kept; only the sink reads it."""
