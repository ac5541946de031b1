"""The contract of metadata stores: conditions, order and pages, and the events."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tams_gateway.events.event import Event
from tams_gateway.storage.changes import Change, Delete, Emit, Forget, Put
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import (
    Absent,
    After,
    AtLeast,
    Below,
    Condition,
    Equal,
    OneOf,
    Present,
    Query,
    Sort,
)
from tams_gateway.storage.records import Record, Value
from tams_gateway.testing.metadata_samples import THING, clear, ids, put

TEXTS = st.text(st.sampled_from("ab\0\u00e9\U0001f3ac"), max_size=3)
NUMBERS = st.sampled_from([-(2**63), -1, 0, 1, 2**63 - 1])
SETS = st.frozensets(TEXTS, max_size=3)

FIELDS: st.SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
    {},
    optional={
        "number": NUMBERS,
        "flag": st.booleans(),
        "text": TEXTS,
        "group": SETS,
        "tag.a": SETS,
        "tag.": SETS,
    },
)

CONDITIONS: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Equal, st.just("number"), NUMBERS),
    st.builds(Equal, st.just("flag"), st.booleans()),
    st.builds(Equal, st.sampled_from(["text", "group", "tag.a", "tag.none"]), TEXTS),
    st.builds(
        OneOf, st.sampled_from(["text", "group", "tag."]), st.lists(TEXTS, max_size=3).map(tuple)
    ),
    st.builds(Present, st.sampled_from([*THING.fields, "tag.a", "tag.none"])),
    st.builds(Absent, st.sampled_from([*THING.fields, "tag.a", "tag.none"])),
    st.builds(AtLeast, st.just("number"), NUMBERS),
    st.builds(Below, st.just("number"), NUMBERS),
)

SORTS = st.none() | st.builds(Sort, st.sampled_from(["number", "text"]), st.booleans())

_MEETS: dict[type[Any], Callable[[Any, Any], bool]] = {
    Equal: lambda value, want: want.value in value if _is_set(value) else value == want.value,
    OneOf: lambda value, want: any(_MEETS[Equal](value, Equal("", one)) for one in want.values),
    Present: lambda value, want: True,
    AtLeast: lambda value, want: value >= want.value,
    Below: lambda value, want: value < want.value,
}


def _is_set(value: object) -> bool:
    return isinstance(value, frozenset)


def meets(fields: dict[str, Value], condition: Any) -> bool:
    """Whether the fields meet a condition: an independent reading of `storage.query`."""
    value = fields.get(condition.field)
    if isinstance(condition, Absent):
        return value is None
    return value is not None and _MEETS[type(condition)](value, condition)


def expected_order(records: dict[str, dict[str, Value]], query: Query) -> list[str]:
    """Return the ids of the whole listing: an independent reading of `Query`."""

    def compare(one: str, other: str) -> int:
        first, second = (None, None)
        if query.sort is not None:
            first, second = (records[each].get(query.sort.field) for each in (one, other))
        if first == second:
            return -1 if one < other else 1
        if first is None or second is None:
            return 1 if first is None else -1
        below = first < second  # type: ignore[operator]
        return -1 if below != bool(query.sort and query.sort.descending) else 1

    found = [
        one
        for one, fields in records.items()
        if all(meets(fields, condition) for condition in query.where)
    ]
    found.sort(key=functools.cmp_to_key(compare))
    return found[::-1] if query.reverse else found


def after(query: Query, record: Record) -> After:
    """Return the place behind a record in a listing."""
    value = None if query.sort is None else record.fields.get(query.sort.field)
    assert value is None or isinstance(value, int | str)
    return After(value, record.id)


def walk(store: MetadataStore, query: Query, between: Callable[[], None]) -> list[str]:
    """Return the ids of all pages; `between` is called behind each."""
    seen: list[str] = []
    place: After | None = None
    while True:
        page = store.find(
            Query(query.kind, query.where, query.sort, query.reverse, place, query.limit)
        )
        seen += ids(page.items)
        if not page.more:
            return seen
        assert query.limit == len(page.items)
        place = after(query, page.items[-1])
        between()


class ListingsContract:
    """What a metadata store promises of `find` and of `events`."""

    def test_a_listing_has_what_meets_every_condition_in_order(self, store: MetadataStore) -> None:
        """R-PAGE-06, -11, -12, -13: nothing is filtered after paging, no order is by chance."""

        @settings(max_examples=60, deadline=None)
        @given(
            records=st.dictionaries(TEXTS, FIELDS, max_size=8),
            where=st.lists(CONDITIONS, max_size=3).map(tuple),
            sort=SORTS,
            limit=st.sampled_from([1, 2, 3, 100]),
        )
        def compare(
            records: dict[str, dict[str, Value]],
            where: tuple[Condition, ...],
            sort: Sort | None,
            limit: int,
        ) -> None:
            clear(store)
            store.apply([put(record_id, fields) for record_id, fields in records.items()])
            for reverse in (False, True):
                for conditions in (where, where[:1], ()):
                    query = Query(THING, conditions, sort, reverse, limit=limit)
                    assert expected_order(records, query) == walk(store, query, lambda: None)

        compare()

    def test_each_condition_holds_for_many_records(self, store: MetadataStore) -> None:
        """Where a store changes its plan for large sets, the answer stays the same."""
        records: dict[str, dict[str, Value]] = {
            f"{number:05}": {
                "number": number // 2,
                "flag": number % 3 == 0,
                "text": f"text-{number % 2}",
                "group": frozenset({f"g{number % 2}", f"h{number % 700}"}),
                **({"tag.rare": frozenset("r")} if number % 500 == 0 else {}),
            }
            for number in range(3000)
        }
        store.apply([put(record_id, fields) for record_id, fields in records.items()])
        conditions: list[Condition] = [
            Equal("flag", True),
            Equal("text", "text-1"),
            Equal("group", "g0"),
            Equal("group", "h7"),
            OneOf("group", ("g0", "g1", "h3")),
            Present("tag.rare"),
            Absent("tag.rare"),
            AtLeast("number", 1490),
            Below("number", 1000),
        ]
        for condition in conditions:
            for where in ((condition,), (condition, Equal("group", "g1"))):
                for sort in (None, Sort("number", True), Sort("text")):
                    query = Query(THING, where, sort, limit=700)
                    assert expected_order(records, query) == walk(store, query, lambda: None)

    def test_an_update_moves_a_record_in_every_listing(self, store: MetadataStore) -> None:
        """No index keeps what a record was: neither its old value nor its old place."""
        store.apply([put("a", {"number": 1, "text": "x", "tag.t": frozenset("1")}), put("b")])
        store.apply([put("a", {"number": 5, "group": frozenset()}), put("b", {"number": 3})])
        assert ["b", "a"] == ids(store.find(Query(THING, sort=Sort("number"))).items)
        for gone in (Equal("number", 1), Present("text"), Present("tag.t"), Equal("tag.t", "1")):
            assert [] == store.find(Query(THING, (gone,))).items
        assert ["a"] == ids(store.find(Query(THING, (Present("group"),))).items)
        store.apply([Delete(THING, "a")])
        assert ["b"] == ids(store.find(Query(THING, sort=Sort("number"))).items)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize(
        "sort", [None, Sort("number"), Sort("number", descending=True)], ids=["id", "up", "down"]
    )
    def test_pages_neither_repeat_nor_drop_while_others_write(
        self, store: MetadataStore, sort: Sort | None, reverse: bool
    ) -> None:
        """R-PAGE-06: what was there throughout comes exactly once."""
        steady: dict[str, dict[str, Value]] = {
            f"s{number:02}": {"number": number // 3} for number in range(40)
        }
        store.apply([put(one, fields) for one, fields in steady.items()])
        store.apply([put(f"t{number}", {"number": number}) for number in range(14)])
        rounds = iter(range(13))

        def disturb() -> None:
            if (at := next(rounds, None)) is not None:
                changes: list[Change] = [put(f"{mark}{at}", {"number": at}) for mark in "ar~"]
                store.apply([*changes, put(f"z{at}"), Delete(THING, f"t{at}")])

        query = Query(THING, (), sort, reverse, limit=3)
        seen = walk(store, query, disturb)
        assert len(seen) == len(set(seen))
        assert expected_order(steady, query) == [one for one in seen if one in steady]

    def test_events_come_in_the_order_of_their_commits(self, store: MetadataStore) -> None:
        """A receiver sees the creation of a flow before its update."""
        fields: dict[str, str | frozenset[str]] = {
            "flow_id": "f\0",
            "auth_classes": frozenset({"a", "\u00e9"}),
            "flow_collected_by": frozenset(),
        }
        later = {"flow_id": "f\0"}
        first = [
            Event("flows/created", 2**62, b"\0\xff", fields),
            Event("flows/updated", 1, b"", later),
        ]
        last = Event("flows/deleted", 0, b"3", later)
        start = store.tip()
        assert [] == store.events(start, 10).items
        store.apply([Emit(first)])
        store.apply([Emit([last]), Put(THING, "a", b"")])
        found = store.events(start, 10)
        assert [*first, last] == found.items
        assert found == store.events(None, 10)
        assert [] == store.events(found.cursor, 10).items
        assert found.cursor == store.events(found.cursor, 10).cursor
        assert [] == store.events(store.tip(), 10).items

    def test_cursors_follow_the_events_by_pages(self, store: MetadataStore) -> None:
        """A reader that stops anywhere goes on exactly there."""
        store.apply([Emit([Event("flows/created", number, b"") for number in range(25)])])
        seen: list[int] = []
        cursor = None
        while (page := store.events(cursor, 4)).items:
            seen += [event.at_ns for event in page.items]
            cursor = page.cursor
        assert list(range(25)) == seen

    def test_forgotten_events_do_not_come_again_and_cursors_stay(
        self, store: MetadataStore
    ) -> None:
        """The outbox is emptied behind its readers; their cursors hold, also in an empty one."""
        store.apply([Emit([Event("flows/created", number, b"") for number in range(5)])])
        middle = store.events(None, 2).cursor
        store.apply([Forget(middle)])
        assert [2, 3, 4] == [event.at_ns for event in store.events(None, 10).items]
        assert [2, 3, 4] == [event.at_ns for event in store.events(middle, 10).items]
        end = store.tip()
        store.apply([Forget(end), Emit([Event("flows/created", 5, b"")])])
        assert [5] == [event.at_ns for event in store.events(end, 10).items]
        store.apply([Forget(end), Forget(middle)])
        assert [5] == [event.at_ns for event in store.events(middle, 10).items]
