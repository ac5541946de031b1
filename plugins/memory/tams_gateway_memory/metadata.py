"""A metadata store in the memory of one process."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from tams_gateway.domain.health import Health
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
    changed_ids,
)
from tams_gateway.storage.content import Content, Entry, KindEntry, LifeEntry, OutboxEntry
from tams_gateway.storage.errors import ConflictError, OverlapError, StoreError
from tams_gateway.storage.expectations import require
from tams_gateway.storage.marks import SIZE, Marks, MarkWatch
from tams_gateway.storage.metadata import Events
from tams_gateway.storage.query import Page, Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import Kind, Record, Segment, Use
from tams_gateway_memory.records import Records
from tams_gateway_memory.timelines import Timelines

_T = TypeVar("_T")

_BATCH: Final = 1000
"""The items of an entry."""


class MemoryMetadata:
    """Keeps everything in dicts and sorted lists under one lock.

    `apply` looks at all changes before it makes the first, so that nothing is ever to be undone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks = Marks(bytearray(SIZE))
        self._version = 0
        self._records: dict[str, Records] = {}
        self._kinds: dict[str, Kind] = {}
        self._with_segments: set[str] = set()
        self._timelines = Timelines()
        self._events: list[Event] = []
        self._forgotten = 0

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        """Return those of the records that are there."""
        with self._lock:
            by_id = self._of(kind).by_id
            return {one: by_id[one] for one in ids if one in by_id}

    def find(self, query: Query) -> Page[Record]:
        """Return a page of records."""
        with self._lock:
            return self._of(query.kind).find(query, self._touches)

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        """Return a page of segments."""
        with self._lock:
            return self._timelines.page(query)

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        """Return the first and the last segment that overlap `within`."""
        with self._lock:
            return self._timelines.extent(Use(flow_id, life), within)

    def uses(self, query: UseQuery) -> Page[Use]:
        """Return a page of the lives of flows that use an object."""
        with self._lock:
            return self._timelines.uses(query)

    def events(self, after: str | None, limit: int) -> Events:
        """Return the oldest events behind a cursor: how many came before it."""
        with self._lock:
            first = max(_count(after or "0") - self._forgotten, 0)
            items = self._events[first : first + limit]
            return Events(items, str(self._forgotten + first + len(items)))

    def tip(self) -> str:
        """Return the cursor behind which only later commits come."""
        with self._lock:
            return str(self._forgotten + len(self._events))

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes all together or not at all."""
        with self._lock:
            for change in changes:
                self._expect(change)
            for added in _of_type(changes, AddSegments):
                overlaps = self._timelines.overlaps(Use(added.flow_id, added.life), added.segments)
                if overlaps:
                    raise OverlapError(overlaps)
            self._version += 1
            with self._marks.changing(changed_ids(changes)):
                for change in sorted(changes, key=lambda one: not isinstance(one, Put)):
                    self._make(change)

    def watch(self, ids: Sequence[str]) -> MarkWatch:
        """Watch records and segments."""
        return self._marks.watch(ids)

    def snapshot(self) -> Content:
        """Return all that is there at one moment."""
        with self._lock:
            records = {name: list(each.by_id.values()) for name, each in self._records.items()}
            kinds = dict(self._kinds)
            lives = self._timelines.all()
            events = list(self._events)
        for name, kind in sorted(kinds.items(), key=lambda one: one[0]):
            found = sorted(records[name], key=lambda one: one.id)
            yield from (KindEntry(kind, some) for some in _batches(found))
        for use, segments in lives:
            yield from (LifeEntry(use.flow_id, use.life, some) for some in _batches(segments))
        yield from (OutboxEntry(some) for some in _batches(events))

    def replace(self, entries: Iterable[Entry]) -> None:
        """Hold exactly these entries."""
        new = MemoryMetadata()
        with self._lock:
            self._version += 1
            new._version = self._version
        for entry in entries:
            new._take(entry)
        with self._lock, self._marks.changing_all():
            self._records, self._timelines = new._records, new._timelines
            self._kinds, self._with_segments = new._kinds, new._with_segments
            self._forgotten += len(self._events)
            self._events = new._events

    def _take(self, entry: Entry) -> None:
        match entry:
            case KindEntry():
                self._know(entry.kind)
                for one in entry.records:
                    new = msgspec.structs.replace(one, version=self._version)
                    self._of(entry.kind).put(new)
            case LifeEntry():
                self._timelines.add(Use(entry.flow_id, entry.life), entry.segments)
            case OutboxEntry():
                self._events += entry.events

    def check(self) -> Health:
        """Say how much is kept."""
        with self._lock:
            count = sum(len(records.by_id) for records in self._records.values())
        return Health(True, f"{count} records in memory")

    def close(self) -> None:
        """Nothing is held but memory."""

    def _of(self, kind: Kind) -> Records:
        return self._records.setdefault(kind.name, Records())

    def _touches(self, record: Record, span: Span) -> bool:
        life = record.fields.get("life")
        return (
            isinstance(life, int) and self._timelines.first(Use(record.id, life), span) is not None
        )

    def _expect(self, change: Change) -> None:
        """Raise ConflictError if what the change expects is not so."""
        match change:
            case Put() | Delete() | Expect() | ExpectTouched():
                require(change, self._of(change.kind).by_id.get(change.id))
            case DropSegments():
                life = Use(change.flow_id, change.life)
                if not all(self._timelines.has(life, segment) for segment in change.segments):
                    raise ConflictError(f"a segment of flow {change.flow_id!r} is gone")
            case Forget():
                _count(change.until)
            case AddSegments() | Emit():
                pass

    def _make(self, change: Change) -> None:
        match change:
            case Put():
                self._put(change)
            case Delete():
                self._of(change.kind).delete(change.id)
            case AddSegments():
                self._timelines.add(Use(change.flow_id, change.life), change.segments)
                self._touch(change)
            case DropSegments():
                self._timelines.remove(Use(change.flow_id, change.life), change.segments)
                self._touch(change)
            case Emit():
                self._events += change.events
            case Forget():
                gone = min(max(_count(change.until) - self._forgotten, 0), len(self._events))
                del self._events[:gone]
                self._forgotten += gone
            case Expect() | ExpectTouched():
                pass

    def _put(self, put: Put) -> None:
        self._know(put.kind)
        records = self._of(put.kind)
        old = records.by_id.get(put.id)
        same_life = old is not None and old.fields.get("life") == put.fields.get("life")
        touched = old.touched if old is not None and same_life else None
        records.put(Record(put.id, self._version, put.body, put.fields, touched))

    def _know(self, kind: Kind) -> None:
        """Remember what a kind declares, which callers may know in part."""
        known = self._kinds.get(kind.name)
        if known is kind:
            return
        if known is not None:
            fields, tags = {**known.fields, **kind.fields}, known.tags or kind.tags
            kind = Kind(kind.name, fields, tags, known.segments or kind.segments)
        self._kinds[kind.name] = kind
        if kind.segments:
            self._with_segments.add(kind.name)

    def _touch(self, change: AddSegments | DropSegments) -> None:
        for name in self._with_segments:
            record = self._records[name].by_id.get(change.flow_id)
            if record is not None and record.fields.get("life") == change.life:
                at = change.at_ns
                if record.touched is not None:
                    at = max(at, record.touched + 1)
                self._records[name].put(msgspec.structs.replace(record, touched=at))


def _of_type(changes: Sequence[Change], kind: type[_T]) -> list[_T]:
    return [change for change in changes if isinstance(change, kind)]


def _batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[at : at + _BATCH] for at in range(0, len(items), _BATCH))


def _count(cursor: str) -> int:
    try:
        return int(cursor)
    except ValueError as error:
        raise StoreError(f"{cursor!r} is no cursor of the memory store") from error
