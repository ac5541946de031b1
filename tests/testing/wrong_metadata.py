"""Metadata stores that are wrong on purpose, each in one thing, as plugins of their names."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.capabilities import Joined
from tams_gateway.storage.changes import (
    ABSENT,
    ANY,
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    Put,
)
from tams_gateway.storage.content import Content, KindEntry, LifeEntry
from tams_gateway.storage.errors import ConflictError, OverlapError, StoreError
from tams_gateway.storage.metadata import Events, MetadataStore
from tams_gateway.storage.query import After, Page, Query, SegmentQuery
from tams_gateway.storage.records import Kind, Record, Segment, Use

EVERYTHING = 10**9


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = "wrong.db"


class InMemory(MemoryMetadata):
    """A plugin whose store lives in one process."""

    @classmethod
    @hookimpl
    def tams_metadata_store(cls) -> Provider[MetadataStore]:
        return Provider(cls.__name__, Settings, cls._open, "Wrong.", api=1, shared=False)

    @classmethod
    def _open(cls, settings: Settings, context: Context) -> MetadataStore:
        return cls()


class InFile(SqliteMetadata):
    """A plugin whose store is shared by processes."""

    @classmethod
    @hookimpl
    def tams_metadata_store(cls) -> Provider[MetadataStore]:
        return Provider(cls.__name__, Settings, cls._open_at, "Wrong.", api=1)

    @classmethod
    def _open_at(cls, settings: Settings, context: Context) -> MetadataStore:
        return cls(Path(settings.path), "process")


class LostUpdate(InMemory):
    """Looks at versions, and then writes whatever happened in between."""

    def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, Put) and change.expect != ANY:
                found = self.get(change.kind, [change.id])
                if change.expect != (found[change.id].version if found else ABSENT):
                    raise ConflictError("another version")
        time.sleep(0.001)
        super().apply(
            [replace(one, expect=ANY) if isinstance(one, Put) else one for one in changes]
        )


class InclusiveEnd(InMemory):
    """Takes the end of a segment for a part of it."""

    def apply(self, changes: Sequence[Change]) -> None:
        for added in changes:
            if isinstance(added, AddSegments):
                met = {
                    index: ends[0]
                    for index, one in enumerate(added.segments)
                    if (ends := self._touching(added, one)) is not None
                }
                if met:
                    raise OverlapError(met)
        super().apply(changes)

    def _touching(self, added: AddSegments, one: Segment) -> tuple[Segment, Segment] | None:
        return self.extent(added.flow_id, added.life, Span(one.start_ns - 1, one.end_ns + 1))


class OffsetPaging(InMemory):
    """Goes on behind as many records as it has given, whatever came and went."""

    def __init__(self) -> None:
        super().__init__()
        self._given: dict[object, int] = {}

    def find(self, query: Query) -> Page[Record]:
        begin = self._given.get((query.kind.name, query.after), 0)
        found = super().find(replace(query, after=None, limit=EVERYTHING)).items
        items = found[begin : begin + query.limit]
        for at, one in enumerate(items, begin + 1):
            value: Any = query.sort and one.fields.get(query.sort.field)
            self._given[query.kind.name, After(value, one.id)] = at
        return Page(items, len(found) > begin + query.limit)


class HalfApply(InMemory):
    """Makes one change after the other, and stops where one cannot be made."""

    def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            super().apply([change])


class TwoCommits(InFile):
    """Commits records first and segments afterwards."""

    def apply(self, changes: Sequence[Change]) -> None:
        later = [one for one in changes if isinstance(one, AddSegments | DropSegments)]
        super().apply([one for one in changes if one not in later])
        super().apply(later)


class StaleRead(InFile):
    """Remembers what it has read until it writes itself."""

    def __init__(self, path: Path, durability: Any) -> None:
        super().__init__(path, durability)
        self._read: dict[tuple[str, str], Record] = {}

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        missing = [one for one in ids if (kind.name, one) not in self._read]
        for name, record in super().get(kind, missing).items():
            self._read[kind.name, name] = record
        known = self._read
        return {one: known[kind.name, one] for one in ids if (kind.name, one) in known}

    def apply(self, changes: Sequence[Change]) -> None:
        super().apply(changes)
        self._read.clear()


class DroppedTag(InMemory):
    """Keeps no tag that has no value."""

    def apply(self, changes: Sequence[Change]) -> None:
        super().apply(
            [
                replace(
                    one, fields={key: value for key, value in one.fields.items() if value != set()}
                )
                if isinstance(one, Put)
                else one
                for one in changes
            ]
        )


class UnstableSort(InMemory):
    """Leaves the order of equal records to chance: here, to who was written last."""

    def find(self, query: Query) -> Page[Record]:
        found = super().find(replace(query, after=None, limit=EVERYTHING)).items
        if query.sort is not None:
            field = query.sort.field
            found.sort(key=lambda one: one.version, reverse=True)
            found.sort(
                key=lambda one: (field in one.fields, one.fields.get(field, 0)),  # type: ignore[arg-type,return-value]
                reverse=query.sort.descending != query.reverse,
            )
        names = [one.id for one in found]
        begin = 0 if query.after is None else names.index(query.after.id) + 1
        return Page(found[begin : begin + query.limit], len(found) > begin + query.limit)


class LateEvent(InMemory):
    """Numbers events when it begins, and shows them when it is done."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._shown: dict[int, Event] = {}
        self._numbering = threading.Lock()

    def apply(self, changes: Sequence[Change]) -> None:
        new = [event for one in changes if isinstance(one, Emit) for event in one.events]
        with self._numbering:
            numbers = range(self._count + 1, self._count + 1 + len(new))
            self._count += len(new)
        if new and self._count % 3:
            time.sleep(0.002)
        super().apply([one for one in changes if not isinstance(one, Emit)])
        self._shown.update(zip(numbers, new, strict=True))

    def events(self, after: str | None, limit: int) -> Events:
        behind = int(after or 0)
        found = sorted(one for one in list(self._shown) if one > behind)[:limit]
        return Events([self._shown[one] for one in found], str(found[-1] if found else behind))

    def tip(self) -> str:
        return str(max(self._shown, default=0))


class LeakedCursor(InMemory):
    """Leaves a cursor open with each listing."""

    def __init__(self) -> None:
        super().__init__()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._open: list[sqlite3.Cursor] = []

    def find(self, query: Query) -> Page[Record]:
        self._open.append(self._database.execute("VALUES (1), (2)"))
        return super().find(query)

    def close(self) -> None:
        self._open.clear()
        self._database.close()


class LeakedFile(InMemory):
    """Opens a file for each look at the events."""

    def events(self, after: str | None, limit: int) -> Events:
        os.open(os.devnull, os.O_RDONLY)
        return super().events(after, limit)


class SwallowedError(InFile):
    """Says that all is well when it could not write."""

    def apply(self, changes: Sequence[Change]) -> None:
        try:
            super().apply(changes)
        except StoreError as error:
            if error.__cause__ is None:
                raise


class ForeignError(InFile):
    """Lets the errors of its library out."""

    def apply(self, changes: Sequence[Change]) -> None:
        try:
            super().apply(changes)
        except StoreError as error:
            raise error.__cause__ or error from None


class VersionsAgain(InMemory):
    """Counts the versions of each record from one, also where it is made anew."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[tuple[str, str], int] = {}

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        found = super().get(kind, ids)
        return {
            one: replace(record, version=self._versions[kind.name, one])
            for one, record in found.items()
        }

    def apply(self, changes: Sequence[Change]) -> None:
        made: list[Change] = []
        for one in changes:
            if isinstance(one, Put | Delete | Expect):
                expected = one.version if isinstance(one, Expect) else one.expect
                if expected not in (ANY, self._versions.get((one.kind.name, one.id), ABSENT)):
                    raise ConflictError("another version")
            if isinstance(one, Put | Delete):
                made.append(replace(one, expect=ANY))
            elif not isinstance(one, Expect):
                made.append(one)
        super().apply(made)
        for one in made:
            if isinstance(one, Put):
                key = (one.kind.name, one.id)
                self._versions[key] = self._versions.get(key, 0) + 1
            elif isinstance(one, Delete):
                self._versions.pop((one.kind.name, one.id), None)


class WholeFlow(InMemory):
    """Reads all of a flow to find a page of it."""

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        super().segments(SegmentQuery(query.flow_id, query.life, limit=EVERYTHING))
        return super().segments(query)


class JoinsForwards(InFile):
    """Joins a page in the order of time, whatever was asked for."""

    def joined(self, query: SegmentQuery) -> Joined | None:
        return super().joined(replace(query, reverse=False))


class ForgetfulBackup(InMemory):
    """Leaves out of a snapshot the segments of lives whose record is gone."""

    def snapshot(self) -> Content:
        return self._entries()

    def _entries(self) -> Iterator[Any]:
        there: set[Use] = set()
        for entry in super().snapshot():
            if isinstance(entry, KindEntry):
                for one in entry.records:
                    there.add(Use(one.id, int(str(one.fields.get("life", -1)))))
            if not isinstance(entry, LifeEntry) or Use(entry.flow_id, entry.life) in there:
                yield entry


class TornRead(InMemory):
    """Looks up one record after the other."""

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        found: dict[str, Record] = {}
        for one in ids[:3]:
            found |= super().get(kind, [one])
            time.sleep(0.0005)
        return {**found, **super().get(kind, ids[3:])}
