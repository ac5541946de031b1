"""A line of the log for each event."""

from collections.abc import Sequence

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin import Context, Provider, hookimpl


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `[[events]]` section: there are none."""


class Log:
    """Writes a line for each event: its type, its time, what it is about, and its body."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._log = context.log

    def deliver(self, events: Sequence[Event]) -> None:
        """Write the lines."""
        for event in events:
            self._log.info("tams_event", **_line(event))

    def check(self) -> Health:
        """Say where the lines go; there is nothing that could fail."""
        return Health(True, "a line of the log for each event")

    def close(self) -> None:
        """Nothing is held."""


def _line(event: Event) -> dict[str, object]:
    """Return the fields of the line; ids stand beside the body, where one can search for them."""
    return {
        "event_type": event.type,
        "at_ns": event.at_ns,
        **{name: event.fields[name] for name in ("flow_id", "source_id") if name in event.fields},
        "body": msgspec.json.decode(event.body),
    }


@hookimpl
def tams_event_sink() -> Provider[EventSink]:
    """Register the sink."""
    return Provider("log", Settings, Log, "A line of the log for each event.", api=1, blocks=False)
