"""What a transaction has read of all that its changes concern, and those changes made in memory.

Several callers' changes are judged one after another on one state: each as if it were alone, on
what the ones before it left. `plan.py` then writes the difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.storage.changes import (
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    ExpectTouched,
    Forget,
    Put,
)
from tams_gateway.storage.errors import ConflictError, OverlapError
from tams_gateway.storage.expectations import in_order, require
from tams_gateway.storage.records import Kind, Record, Use
from tams_gateway_vast.reading import records
from tams_gateway_vast.reading.cursors import cursor, later, numbers
from tams_gateway_vast.reading.records import EMPTY, Bounds, Stored, batches
from tams_gateway_vast.tables import rows
from tams_gateway_vast.tables.kind_tables import FLOWS
from tams_gateway_vast.tables.layout import LIVES, SEGMENTS
from tams_gateway_vast.tables.texts import loaded, stored
from tams_gateway_vast.transport.predicates import In, Is, Over, Term, Under
from tams_gateway_vast.writing.timeline import StoredSegment, Timeline, windows

if TYPE_CHECKING:
    from tams_gateway_vast.tables.layout import Layouts
    from tams_gateway_vast.transport.cluster import Transaction


class Key(NamedTuple):
    """A record: the name of its kind, and its id."""

    kind: str
    id: str


_OfRecord: TypeAlias = Put | Delete | Expect | ExpectTouched
_OfSegments: TypeAlias = AddSegments | DropSegments
_OF_RECORD: Final = (Put, Delete, Expect, ExpectTouched)
_OF_SEGMENTS: Final = (AddSegments, DropSegments)


class State:
    """Records, bounds of lives and segments as they were read (`stored...`), and as they are now.

    `lives` has the bounds of every life that was looked up; `stored_lives` the row ids of those
    that stand in the table `lives`.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}
        self.stored: dict[Key, Stored] = {}
        self.records: dict[Key, Record | None] = {}
        self.stored_lives: dict[Use, int] = {}
        self.stored_bounds: dict[Use, Bounds] = {}
        self.lives: dict[Use, Bounds] = {}
        self.timelines: dict[Use, Timeline] = {}
        self.events: list[Event] = []
        self.forget: str | None = None

    def make(self, changes: Sequence[Change], version: int) -> None:
        """Make one caller's changes; those records that it puts get this version.

        Raises `ConflictError` or `OverlapError`, and has changed nothing.
        """
        ordered = in_order(changes)
        for change in ordered:
            self._judge(change)
        for change in ordered:
            match change:
                case Put():
                    self._put(change, version)
                case Delete():
                    self.records[Key(change.kind.name, change.id)] = None
                case AddSegments() | DropSegments():
                    self._move(change)
                case Emit():
                    self.events += change.events
                case Forget():
                    known = {} if self.forget is None else numbers(self.forget)
                    self.forget = cursor(later(known, numbers(change.until)))

    def _judge(self, change: Change) -> None:
        match change:
            case Put() | Delete() | Expect() | ExpectTouched():
                require(change, self.records.get(Key(change.kind.name, change.id)))
            case DropSegments():
                timeline = self._timeline(change)
                if not all(timeline.has(one) for one in change.segments):
                    raise ConflictError(f"a segment of flow {change.flow_id!r} is gone")
            case AddSegments():
                overlaps = self._timeline(change).overlaps(change.segments)
                if overlaps:
                    raise OverlapError(overlaps)

    def _timeline(self, change: _OfSegments) -> Timeline:
        return self.timelines.setdefault(Use(change.flow_id, change.life), Timeline())

    def _put(self, change: Put, version: int) -> None:
        key = Key(change.kind.name, change.id)
        old = self.records.get(key)
        same_life = old is not None and old.fields.get("life") == change.fields.get("life")
        touched = old.touched if old is not None and same_life else None
        self.records[key] = Record(change.id, version, change.body, change.fields, touched)

    def _move(self, change: _OfSegments) -> None:
        """Add or drop segments, and move the bounds of their life and `touched` of its records."""
        life = Use(change.flow_id, change.life)
        bounds = self.lives.get(life, EMPTY)
        if isinstance(change, AddSegments):
            self._timeline(change).add(change.segments)
            self.lives[life] = _wider(bounds, change)
        else:
            self._timeline(change).remove(change.segments)
            self.lives[life] = _narrower(bounds, change)
        for key, record in self.of_life(life):
            at = change.at_ns
            if record.touched is not None:
                at = max(at, record.touched + 1)
            self.records[key] = msgspec.structs.replace(record, touched=at)

    def of_life(self, life: Use) -> list[tuple[Key, Record]]:
        """Return the records, of whatever kinds, whose life this is."""
        return [
            (key, record)
            for key, record in self.records.items()
            if record is not None
            and key.id == life.flow_id
            and self.kinds[key.kind].segments
            and record.fields.get("life") == life.life
        ]


def _wider(bounds: Bounds, change: AddSegments) -> Bounds:
    if not change.segments:
        return bounds
    first = min(one.start_ns for one in change.segments)
    last = max(one.end_ns for one in change.segments)
    if bounds.count:
        first, last = min(first, bounds.first_ns), max(last, bounds.last_ns)
    return Bounds(first, last, bounds.count + len(change.segments))


def _narrower(bounds: Bounds, change: DropSegments) -> Bounds:
    """Return bounds that follow a window which rolls on: who drops the first leaves none before."""
    count = bounds.count - len(change.segments)
    if count <= 0:
        return EMPTY
    first, last = bounds.first_ns, bounds.last_ns
    for one in sorted(change.segments, key=lambda segment: segment.end_ns):
        if one.start_ns == first:
            first = one.end_ns
    for one in sorted(change.segments, key=lambda segment: -segment.end_ns):
        if one.end_ns == last:
            last = one.start_ns
    return Bounds(first, last, count)


def read(transaction: "Transaction", layouts: "Layouts", changes: Iterable[Change]) -> State:
    """Return the state of all that the changes concern."""
    state = State()
    named = list(changes)
    of_records = [change for change in named if isinstance(change, _OF_RECORD)]
    of_segments = [change for change in named if isinstance(change, _OF_SEGMENTS)]
    _read_records(transaction, layouts, state, of_records)
    timed = [change for change in of_records if change.kind.segments]
    _read_flows(transaction, layouts, state, timed, of_segments)
    _read_lives(transaction, state, timed, of_segments)
    _read_segments(transaction, state, of_segments)
    return state


def _read_records(
    transaction: "Transaction", layouts: "Layouts", state: State, changes: Sequence[_OfRecord]
) -> None:
    ids: dict[str, list[str]] = {}
    for change in changes:
        state.kinds[change.kind.name] = change.kind
        state.records.setdefault(Key(change.kind.name, change.id), None)
        if not change.kind.segments:
            ids.setdefault(change.kind.name, []).append(change.id)
    for name, wanted in ids.items():
        layout = layouts.layout_of(state.kinds[name])
        for one in records.get(transaction, layout, wanted).values():
            _keep(state, one)


def _keep(state: State, one: Stored) -> None:
    key = Key(one.kind, one.record.id)
    state.stored[key] = one
    state.records[key] = one.record


def _read_flows(
    transaction: "Transaction",
    layouts: "Layouts",
    state: State,
    changes: Sequence[_OfRecord],
    of_segments: Sequence[_OfSegments],
) -> None:
    """Read the records with these ids of every kind with segments."""
    ids = dict.fromkeys([*(one.id for one in changes), *(one.flow_id for one in of_segments)])
    layout = layouts.layout_of(Kind("", {}, segments=True))
    for some in batches([stored(one) for one in ids]):
        found = transaction.select(FLOWS, records.columns(layout), [In("id", some)])
        for one in records.loaded(transaction, layout, found):
            state.kinds.setdefault(one.kind, Kind(one.kind, {}, segments=True))
            _keep(state, one)
            life = one.record.fields.get("life")
            if isinstance(life, int):
                state.lives[Use(one.record.id, life)] = one.bounds


def _read_lives(
    transaction: "Transaction",
    state: State,
    changes: Sequence[_OfRecord],
    of_segments: Sequence[_OfSegments],
) -> None:
    """Read the bounds of lives that have no record, where one comes, goes, or is without."""
    ids = {one.flow_id for one in of_segments if Use(one.flow_id, one.life) not in state.lives}
    for change in changes:
        if isinstance(change, Put | Delete):
            old = state.records.get(Key(change.kind.name, change.id))
            life = change.fields.get("life") if isinstance(change, Put) else None
            if old is None or old.fields.get("life") != life:
                ids.add(change.id)
    columns = ("$row_id", "flow_id", "life", "first_ns", "last_ns", "segment_count")
    for some in batches([stored(one) for one in ids]):
        found = transaction.select(LIVES, columns, [In("flow_id", some)])
        values = [found.column(name).to_pylist() for name in columns]
        for row_id, flow_id, life, first, last, count in zip(*values, strict=True):
            use = Use(loaded(flow_id), life)
            state.stored_lives[use] = int(row_id)
            state.lives[use] = Bounds(first, last, count)
    state.stored_bounds = dict(state.lives)


def _read_segments(
    transaction: "Transaction", state: State, changes: Sequence[_OfSegments]
) -> None:
    spans: dict[Use, list[Span]] = {}
    for change in changes:
        life = Use(change.flow_id, change.life)
        spans.setdefault(life, []).extend(Span(one.start_ns, one.end_ns) for one in change.segments)
    for life, wanted in spans.items():
        bounds = state.lives.get(life, EMPTY)
        around = Span(bounds.first_ns, bounds.last_ns)
        found: list[StoredSegment] = []
        for span in windows(wanted):
            # Nothing is stored beyond the bounds: a recorder that goes on asks for nothing.
            if bounds.count and span.overlaps(around):
                found += _between(transaction, life, span)
        state.timelines[life] = Timeline(found)


def _between(transaction: "Transaction", life: Use, span: Span) -> list[StoredSegment]:
    where: list[Term] = [
        Is("flow_id", stored(life.flow_id)),
        Is("life", life.life),
        Over("end_ns", span.start),
        Under("start_ns", span.end),
    ]
    found = transaction.select(SEGMENTS, ("$row_id", *rows.SEGMENT), where)
    return rows.stored_segments(transaction, found)


def in_lives(state: State) -> Mapping[Use, Bounds]:
    """Return the lives that are to stand in the table `lives`: with segments, and no record."""
    return {
        life: bounds
        for life, bounds in state.lives.items()
        if bounds.count and not state.of_life(life)
    }
