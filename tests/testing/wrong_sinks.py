"""Event sinks that are wrong on purpose, each in a way of its own: the kit must catch them."""

import threading
from collections.abc import Sequence
from typing import Any

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin import Context, Provider, hookimpl


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No options."""


class Deaf:
    """What the others get wrong: takes everything, and forgets it."""

    @classmethod
    @hookimpl
    def tams_event_sink(cls) -> Provider[EventSink]:
        return Provider(cls.__name__, Settings, cls, "Wrong, but for the first.", api=1)

    def __init__(self, settings: Settings, context: Context) -> None:
        self._held: list[Any] = []

    def deliver(self, events: Sequence[Event]) -> None:
        """Forget them."""

    def check(self) -> Health:
        return Health(True, "")

    def close(self) -> None:
        """Hold nothing."""


class NeedsEveryField(Deaf):
    """Takes it for granted that each event is about a flow."""

    def deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event.fields["flow_id"]


class KnowsNoSources(Deaf):
    """Refuses what it does not know."""

    def deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.type.startswith("sources/"):
                raise ValueError(f"unknown type {event.type}")


class OnlyOnce(Deaf):
    """Insists that nothing comes twice."""

    def deliver(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event not in self._held
        self._held += events


class KeepsAll(Deaf):
    """Keeps all that it ever got."""

    def deliver(self, events: Sequence[Event]) -> None:
        self._held += [[event] for event in events]


class RaisesInCheck(Deaf):
    """Raises where it is asked how it is."""

    def check(self) -> Health:
        raise ConnectionError("nobody is there")


class LeavesThread(Deaf):
    """Leaves its thread behind."""

    def __init__(self, settings: Settings, context: Context) -> None:
        super().__init__(settings, context)
        threading.Thread(target=threading.Event().wait, daemon=True).start()
