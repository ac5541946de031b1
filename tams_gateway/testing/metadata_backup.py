"""The contract of metadata stores that support backups: what is given and taken is everything."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Protocol, TypeAlias, runtime_checkable

import pytest

from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.storage.capabilities import SupportsBackup
from tams_gateway.storage.changes import AddSegments, Delete, Emit, Forget, Put
from tams_gateway.storage.content import Entry, KindEntry, LifeEntry, OutboxEntry
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Equal, Query, Touches, UseQuery
from tams_gateway.storage.records import FieldType, Kind, Record, Segment, Use, Value
from tams_gateway.testing.apart import killed_at_each_step
from tams_gateway.testing.faults import growth
from tams_gateway.testing.metadata_concurrency import while_writing
from tams_gateway.testing.metadata_samples import (
    THING,
    TIMED,
    all_segments,
    flow,
    ids,
    put,
    record_of,
    row,
    segment,
)
from tams_gateway.testing.opening import Opener

Picture: TypeAlias = tuple[
    dict[tuple[str, str], tuple[bytes, Mapping[str, Value], int | None]],
    dict[tuple[str, int], list[Segment]],
    list[Event],
]
"""Records by kind and id, segments by life, events: what must come back, whatever the store."""

ODD = Kind("kit odd\0", {"a b": FieldType.BOOL})


@runtime_checkable
class BackedStore(MetadataStore, SupportsBackup, Protocol):
    """A metadata store that gives and takes all that it holds."""


def picture(entries: Iterable[Entry]) -> Picture:
    """Return what entries hold, and see that they are in order and declare their fields."""
    records: dict[tuple[str, str], tuple[bytes, Mapping[str, Value], int | None]] = {}
    lives: dict[tuple[str, int], list[Segment]] = {}
    events: list[Event] = []
    last: dict[str, str] = {}
    for entry in entries:
        match entry:
            case KindEntry(kind=kind, records=some):
                for one in some:
                    assert last.get(kind.name) is None or last[kind.name] < one.id
                    last[kind.name] = one.id
                    assert all(_is(value, kind.type_of(key)) for key, value in one.fields.items())
                    records[kind.name, one.id] = (one.body, one.fields, one.touched)
            case LifeEntry(flow_id=flow_id, life=life, segments=segments):
                lives.setdefault((flow_id, life), []).extend(segments)
            case OutboxEntry(events=some_events):
                events += some_events
    return records, {life: segments for life, segments in lives.items() if segments}, events


_TYPES = {
    FieldType.INT: int,
    FieldType.BOOL: bool,
    FieldType.TEXT: str,
    FieldType.SET: frozenset,
}


def _is(value: Value, declared: FieldType) -> bool:
    return type(value) is _TYPES[declared]


def fill(store: MetadataStore) -> Picture:
    """Write something of everything; return what is there."""
    fields: dict[str, Value] = {
        "number": -(2**63),
        "flag": False,
        "text": "\0\u00e9",
        "group": frozenset({"", "x"}),
        "tag.a/b": frozenset(),
    }
    told = [Event("flows/created", at, b"\0", {"flow_id": "f"}) for at in range(3)]
    things = [put(f"{number:05}", {"text": "t"}) for number in range(3000)]
    many = row(5000, init="init")
    store.apply([Put(THING, "one", b"\0\xff", fields), flow("f"), flow("gone"), Emit(told)])
    store.apply([Put(ODD, "o", b"odd", {"a b": True}), *things])
    store.apply([AddSegments("f", 0, many, 7), AddSegments("gone", 0, row(1), 8)])
    store.apply([Delete(TIMED, "gone"), Forget(store.events(None, 1).cursor)])
    return (
        {
            ("kit_thing", "one"): (b"\0\xff", fields, None),
            ("kit_flow", "f"): (b"{}", {"life": 0}, 7),
            (ODD.name, "o"): (b"odd", {"a b": True}, None),
            **{("kit_thing", one.id): (one.body, one.fields, None) for one in things},
        },
        {("f", 0): many, ("gone", 0): row(1)},
        told[1:],
    )


def _entries(number: int) -> Iterator[Entry]:
    """Yield a content that tells its number everywhere."""
    records = [Record(f"{at:04}", 1, b"", {"number": number}) for at in range(50)]
    yield KindEntry(THING, records)
    yield LifeEntry("f", 0, row(number + 1))
    yield OutboxEntry([Event("flows/created", number, b"")])


def _replace(store: BackedStore, number: int) -> None:
    store.replace(_entries(number))


class BackupContract:
    """What a metadata store promises that has `snapshot` and `replace`."""

    @pytest.fixture
    def backed(self, store: MetadataStore) -> BackedStore:
        """Return the store, of which backups can be made."""
        if not isinstance(store, BackedStore):
            pytest.skip("it has no snapshot and replace: no backups can be made of it")
        return store

    def test_a_snapshot_holds_all_that_is_there(self, backed: BackedStore) -> None:
        """What a backup lacks is noticed on the day when nothing else is left."""
        expected = fill(backed)
        with closing(backed.snapshot()) as entries:
            assert expected == picture(entries)

    def test_what_takes_a_snapshot_holds_that_and_nothing_else(self, backed: BackedStore) -> None:
        """A restore is the state of then, found by all the ways in which it was found before."""
        expected = fill(backed)
        entries = list(backed.snapshot())
        version = record_of(backed, "one").version
        later = Kind("kit_later", {})
        backed.apply([Delete(THING, "one"), put("two"), flow("g"), Put(later, "x", b"")])
        backed.apply([AddSegments("f", 0, [segment(-9, -5)], 9), AddSegments("g", 1, row(3), 9)])

        backed.replace(entries)

        with closing(backed.snapshot()) as again:
            assert expected == picture(again)
        assert {} == backed.get(later, ["x"])
        assert version != record_of(backed, "one").version
        found = backed.find(Query(THING, (Equal("group", "x"), Equal("flag", False))))
        assert ["one"] == ids(found.items)
        assert ["f"] == ids(backed.find(Query(TIMED, (Touches(Span(5, 6)),))).items)
        assert [Use("f", 0)] == backed.uses(UseQuery("init", as_init=True)).items
        assert row(1) == all_segments(backed, "gone")

    def test_versions_and_cursors_go_on_behind_a_replacement(self, backed: BackedStore) -> None:
        """Who read before a restore must not overwrite what came by it, nor miss its events."""
        versions = set()
        backed.apply([put("a"), Emit([Event("flows/created", 1, b"")])])
        entries = list(backed.snapshot())
        for _ in range(3):
            backed.apply([put("a"), Emit([Event("flows/updated", 2, b"")])])
            versions.add(record_of(backed, "a").version)
        tip, middle = backed.tip(), backed.events(None, 2).cursor

        backed.replace(entries)

        for version in versions:
            with pytest.raises(ConflictError):
                backed.apply([Put(THING, "a", b"", {}, version)])
        for cursor in (None, middle, tip):
            assert [1] == [event.at_ns for event in backed.events(cursor, 10).items]
        backed.apply([put("a")])
        assert record_of(backed, "a").version not in versions

    def test_a_snapshot_is_of_one_moment(self, backed: BackedStore) -> None:
        """Writers go on while a backup is made; it must not hold half of what they do."""
        backed.apply([put("counter", {"number": 0})])

        def write() -> None:
            for number in range(1, 200):
                new = AddSegments("f", 0, [segment(number, number + 1)], 1)
                told = Emit([Event("flows/updated", number, b"")])
                backed.apply([put("counter", {"number": number}), new, told])

        def read(is_over: Callable[[], bool]) -> list[tuple[object, int, int]]:
            found: list[tuple[object, int, int]] = []
            while not is_over():
                with closing(backed.snapshot()) as entries:
                    records, lives, events = picture(entries)
                number = records["kit_thing", "counter"][1]["number"]
                found.append((number, len(lives.get(("f", 0), [])), len(events)))
            return found

        [found] = while_writing([write], [read])
        assert [(number, number, number) for number, _, _ in found] == found

    def test_a_replacement_that_fails_leaves_the_old_content(self, backed: BackedStore) -> None:
        """A backup that cannot be read to its end must not cost what is there."""
        expected = fill(backed)
        error = ValueError("mine")

        def entries() -> Iterator[Entry]:
            yield from _entries(3)
            raise error

        with pytest.raises(ValueError, match="mine") as raised:
            backed.replace(entries())
        assert error is raised.value
        with closing(backed.snapshot()) as again:
            assert expected == picture(again)

    def test_readers_see_the_old_content_until_the_new_is_whole(self, backed: BackedStore) -> None:
        """A restore into a running gateway answers from one state or from the other."""
        backed.replace(_entries(1))

        def entries() -> Iterator[Entry]:
            for entry in _entries(2):
                yield entry
                with closing(backed.snapshot()) as old:
                    assert picture(_entries(1)) == picture(old)
                assert {"number": 1} == record_of(backed, "0000").fields

        backed.replace(entries())
        with closing(backed.snapshot()) as new:
            assert picture(_entries(2)) == picture(new)

    def test_a_snapshot_that_is_left_early_holds_nothing_up(self, backed: BackedStore) -> None:
        """A backup may be broken off."""
        fill(backed)

        def call() -> None:
            with closing(backed.snapshot()) as entries:
                next(entries)
            backed.apply([put("one")])

        assert {} == growth(call)

    def test_a_process_that_is_killed_at_any_step_of_replace_leaves_the_old_or_the_new(
        self, opener: Opener[BackedStore], backed: BackedStore
    ) -> None:
        """A restore may be broken off, too: then the content of before is still there."""
        shared = opener.shared()
        now = 0
        for number, returned in killed_at_each_step(shared, _replace):
            with closing(backed.snapshot()) as entries:
                found = picture(entries)
            if returned or found != picture(_entries(now)):
                now = number
            assert picture(_entries(now)) == found
