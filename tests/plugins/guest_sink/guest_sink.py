"""A guest: an event sink that records events as lines of JSON in a file."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin import Context, Provider, hookimpl


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` is the file. The first `failures` deliveries of a process fail."""

    path: str
    failures: int = 0


class Recorder:
    """Appends a line for each event: `{"type", "at_ns", "event", "fields"}`."""

    def __init__(self, settings: Settings, context: Context) -> None:
        self._path = Path(settings.path)
        self._failures = settings.failures

    def deliver(self, events: Sequence[Event]) -> None:
        if self._failures:
            self._failures -= 1
            raise ConnectionError("nobody listens yet")
        with self._path.open("ab") as file:
            file.writelines(map(_line, events))

    def check(self) -> Health:
        return Health(True, f"records to {self._path}")

    def close(self) -> None:
        """Hold nothing."""


def _line(event: Event) -> bytes:
    document = {
        "type": event.type,
        "at_ns": event.at_ns,
        "event": msgspec.Raw(event.body),
        "fields": event.fields,
    }
    return msgspec.json.encode(document) + b"\n"


@click.command("recorded")
@click.argument("path")
def recorded(path: str) -> None:
    """Print how many events a file holds."""
    click.echo(len(Path(path).read_bytes().splitlines()))


@hookimpl
def tams_event_sink() -> Provider[EventSink]:
    """Register the sink."""
    return Provider("guest-sink", Settings, Recorder, "Events as lines of JSON in a file.", api=1)


@hookimpl
def tams_commands() -> Sequence[click.Command]:
    """Register the command."""
    return [recorded]
