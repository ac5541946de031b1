"""The outbox keeps events for `event_lifetime`, whether or not somebody has heard them."""

from collections.abc import Mapping
from typing import Final

import msgspec
from structlog.typing import FilteringBoundLogger

from tams_gateway.domain.timerange import SECOND
from tams_gateway.events.event import Event
from tams_gateway.events.sink import FollowsOutbox
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import CURSOR
from tams_gateway.operations.sinks import read_state
from tams_gateway.storage.changes import ABSENT, Change, Forget, Put

_ID: Final = "outbox"
_MARKS: Final = 100
"""How many marks are set in a lifetime: so finely events are forgotten."""


class _Mark(msgspec.Struct, frozen=True):
    """That all events up to a cursor were there at a time, in nanoseconds since 1970."""

    cursor: str
    at: int


class _Marks(msgspec.Struct, frozen=True):
    marks: tuple[_Mark, ...]


_decoder = msgspec.json.Decoder(_Marks)


class Forgetting:
    """The job: sets a mark now and then, and forgets what lies before those that are old.

    Cursors have no order that we know, and events no index by time; so no store needs either.
    """

    def __init__(self) -> None:
        self._looked = 0

    def __call__(self, gateway: Gateway, lease: Lease, log: FilteringBoundLogger) -> bool:
        """Forget up to the oldest mark, if its time has come; return whether it had."""
        lifetime = gateway.limits.event_lifetime * SECOND
        step, now = lifetime // _MARKS, gateway.now_ns()
        if 0 <= now - self._looked < step:
            return False
        record = gateway.metadata.get(CURSOR, [_ID]).get(_ID)
        stored = () if record is None else _decoder.decode(record.body).marks
        # A mark of a clock that was set back since is as good as one of now.
        marks = [_Mark(one.cursor, min(one.at, now)) for one in stored]
        changes: list[Change] = []
        if marks and now - marks[0].at >= lifetime:
            changes.append(Forget(marks.pop(0).cursor))
        if not marks or now - marks[-1].at >= step:
            marks.append(_Mark(gateway.metadata.tip(), now))
        version = ABSENT if record is None else record.version
        kept = msgspec.json.encode(_Marks(tuple(marks)))
        waiting = _waiting(gateway) if changes else {}
        gateway.metadata.apply([lease.expected(), Put(CURSOR, _ID, kept, {}, version), *changes])
        for name, event in _waiting(gateway).items() if changes else ():
            if waiting.get(name) not in (None, event):
                log.error("events_lost", sink=name)
        self._looked = 0 if changes else now
        return bool(changes)


def _waiting(gateway: Gateway) -> Mapping[str, Event | None]:
    """Return the first event that each sink has not got."""
    readers = [name for name, one in gateway.sinks.items() if not isinstance(one, FollowsOutbox)]
    records = gateway.metadata.get(CURSOR, readers)
    cursors = {
        name: read_state(records[name].body).cursor if name in records else None for name in readers
    }
    return {
        name: next(iter(gateway.metadata.events(cursor, 1).items), None)
        for name, cursor in cursors.items()
    }
