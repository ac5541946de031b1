"""How sinks fare, as the process at work notes it in their records and every process can tell."""

from collections.abc import Iterator

import msgspec

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.health import Health
from tams_gateway.domain.timerange import SECOND
from tams_gateway.events.sink import FollowsOutbox
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import CURSOR
from tams_gateway.storage.errors import StoreError

LOOK_NS = 30 * SECOND
"""How often a sink that follows the outbox itself is noted to answer."""

_PATIENCE_NS = 120 * SECOND
"""How far a sink may be behind, or how long it may give no sign, before that is told."""


class SinkState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of a sink: how far it has come, and what went wrong last.

    `error` is empty where all is well; `since` is when that began, well or not. `seen` is when a
    sink that follows the outbox itself last answered. Times are nanoseconds since 1970.
    """

    cursor: str | None = None
    error: str = ""
    since: int = 0
    seen: int = 0


read_state = msgspec.json.Decoder(SinkState).decode


def health(gateway: Gateway) -> Iterator[tuple[str, Health]]:
    """Yield the name of each sink with how its deliveries fare; asks no sink, which may hang."""
    try:
        records = gateway.metadata.get(CURSOR, list(gateway.sinks)) if gateway.sinks else {}
        for name, sink in gateway.sinks.items():
            state = read_state(records[name].body) if name in records else SinkState()
            if isinstance(sink, FollowsOutbox):
                yield name, _follower(gateway, state)
            else:
                yield name, _reader(gateway, state)
    except StoreError as error:
        yield "sinks", Health(False, str(error))


def _reader(gateway: Gateway, state: SinkState) -> Health:
    """Judge a sink by the oldest event that it has not got."""
    waiting = gateway.metadata.events(state.cursor, 1).items
    behind = gateway.now_ns() - waiting[0].at_ns if waiting else 0
    late = f"{behind // SECOND} s behind" if behind > SECOND else "not behind"
    if state.error:
        return Health(False, f"fails since {date_time(state.since)}, {late}: {state.error}")
    return Health(behind < _PATIENCE_NS, late)


def _follower(gateway: Gateway, state: SinkState) -> Health:
    if state.error:
        return Health(False, f"fails since {date_time(state.since)}: {state.error}")
    silent = gateway.now_ns() - state.seen if state.seen else 0
    if silent > _PATIENCE_NS:
        return Health(False, f"gives no sign since {date_time(state.seen)}")
    return Health(True, "follows the outbox")
