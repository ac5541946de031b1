"""A line of the log for each event."""

from collections.abc import Sequence

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin import Context, Provider, hookimpl


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `[[events]]` section."""


class Log:
    """A line of the log for each event."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._context = context

    def deliver(self, events: Sequence[Event]) -> None:
        """Deliver the events."""

    def check(self) -> Health:
        """Say that nothing is checked yet."""
        return Health(True, "")

    def close(self) -> None:
        """Release nothing."""


@hookimpl
def tams_event_sink() -> Provider[EventSink]:
    """Register the sink."""
    return Provider("log", Settings, Log, "A line of the log for each event.", api=1)
