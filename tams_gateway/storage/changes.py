"""Changes that a metadata store makes all together or not at all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from tams_gateway.events.event import Event
from tams_gateway.storage.records import Kind, Segment, Value

ABSENT: Final = 0
"""As `expect`: no record of that id may be there."""

ANY: Final = -1
"""As `expect`: whatever is there, or nothing."""


class Put(msgspec.Struct, frozen=True):
    """Create or replace a record; `fields` holds just what is set.

    `expect` is the version that must be there, `ABSENT` or `ANY`. A replacement keeps `touched`
    where the field `life` stays the same.
    """

    kind: Kind
    id: str
    body: bytes
    fields: Mapping[str, Value] = {}
    expect: int = ANY


class Delete(msgspec.Struct, frozen=True):
    """Delete a record of that version; with `ANY`, also one that is not there."""

    kind: Kind
    id: str
    expect: int = ANY


class Expect(msgspec.Struct, frozen=True):
    """Change nothing, but fail if the record has another version (`ABSENT`: if it is there)."""

    kind: Kind
    id: str
    version: int


class ExpectTouched(msgspec.Struct, frozen=True):
    """Change nothing, but fail unless the record is there and was last touched at that time.

    So a change that relies on the segments of a flow conflicts with adding or dropping some. It may
    stand beside another change of the record.
    """

    kind: Kind
    id: str
    touched: int | None


class AddSegments(msgspec.Struct, frozen=True):
    """Add segments to a life of a flow; any order, none overlapping another of this list.

    Raises `OverlapError` if one overlaps a stored one. Moves `touched` of the flow's record on
    to `at_ns` where the record has this life, also without any segments, but not its version, and
    without making several writers of one flow conflict.
    """

    flow_id: str
    life: int
    segments: Sequence[Segment]
    at_ns: int


class DropSegments(msgspec.Struct, frozen=True):
    """Remove exactly these segments; one that is gone or differs is a `ConflictError`.

    Moves `touched` as `AddSegments` does.
    """

    flow_id: str
    life: int
    segments: Sequence[Segment]
    at_ns: int


class Emit(msgspec.Struct, frozen=True):
    """Append events to the outbox."""

    events: Sequence[Event]


class Forget(msgspec.Struct, frozen=True):
    """Remove the events up to and including those that a reader had met at this cursor."""

    until: str


Change: TypeAlias = (
    Put | Delete | Expect | ExpectTouched | AddSegments | DropSegments | Emit | Forget
)


def changed_ids(changes: Iterable[Change]) -> Iterator[str]:
    """Yield the ids of the records that are changed, and of the flows whose segments are."""
    for change in changes:
        match change:
            case Put() | Delete():
                yield change.id
            case AddSegments() | DropSegments():
                yield change.flow_id
            case Expect() | ExpectTouched() | Emit() | Forget():
                pass
