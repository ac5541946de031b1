"""Finding the webhooks that may want an event without asking each of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import UnsetType

from tams_gateway.events.event import Event, EventType
from tams_gateway.events.subscription import Subscription, wants
from tams_gateway_events.follower import Follower

_Key: TypeAlias = tuple[str, str]

_FEW: Final = 16
"""So many webhooks are asked one by one what they want."""

_ANY: Final = ""
"""In the place of an id: of webhooks that no filter narrows."""

_OF_FLOWS: Final = (
    "flow_ids",
    "source_ids",
    "flow_collected_by_ids",
    "source_collected_by_ids",
)
_OF_SOURCES: Final = ("source_ids", "source_collected_by_ids")


class Index:
    """The ids of webhooks by a type of event and an id that it must have.

    One filter of each webhook is looked at; whether it wants an event is still to be asked.
    """

    def __init__(self) -> None:
        self._ids: dict[_Key, set[str]] = {}

    def add(self, webhook_id: str, asked: Subscription) -> None:
        """Add a webhook."""
        for key in _keys(asked):
            self._ids.setdefault(key, set()).add(webhook_id)

    def remove(self, webhook_id: str, asked: Subscription) -> None:
        """Remove a webhook that was added with the same subscription."""
        for key in _keys(asked):
            ids = self._ids.get(key, set())
            ids.discard(webhook_id)
            if not ids:
                self._ids.pop(key, None)

    def candidates(self, event: Event) -> set[str]:
        """Return the ids of all that may want the event."""
        found: set[str] = set()
        for id_ in _ids(event):
            found |= self._ids.get((event.type, id_), set())
        return found


def interested(
    group: Mapping[str, Follower], index: Index, events: Sequence[Event]
) -> Iterator[Follower]:
    """Yield those of a group that want any of the events, each once."""
    if len(group) <= _FEW:
        for follower in group.values():
            if any(wants(follower.webhook, event) for event in events):
                yield follower
        return
    found: set[str] = set()
    for event in events:
        for id_ in index.candidates(event) - found:
            if id_ in group and wants(group[id_].webhook, event):
                found.add(id_)
                yield group[id_]


def _keys(asked: Subscription) -> Iterator[_Key]:
    for type_ in asked.events:
        for id_ in _narrowest(type_, asked):
            yield type_, id_


def _narrowest(type_: EventType, asked: Subscription) -> Iterable[str]:
    """Return the ids of the first filter that has any, for events of that type."""
    for name in _OF_SOURCES if type_.startswith("sources/") else _OF_FLOWS:
        ids: tuple[str, ...] | UnsetType = getattr(asked, name)
        if ids:
            return ids
    return (_ANY,)


def _ids(event: Event) -> Iterator[str]:
    """Yield every id by which a webhook that wants the event may be found."""
    yield _ANY
    for name in ("flow_id", "source_id", "flow_collected_by", "source_collected_by"):
        value = event.fields.get(name)
        if isinstance(value, str):
            yield value
        elif value is not None:
            yield from value
