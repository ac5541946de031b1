"""The contract of metadata stores: records, versions, and all or nothing."""

from collections.abc import Sequence

import pytest

from tams_gateway.events.event import Event
from tams_gateway.storage.changes import (
    ABSENT,
    ANY,
    AddSegments,
    Change,
    Delete,
    DropSegments,
    Emit,
    Expect,
    ExpectTouched,
    Put,
)
from tams_gateway.storage.errors import ConflictError, OverlapError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Equal, OneOf, Query, Sort
from tams_gateway.storage.records import FieldType, Kind, Value
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

ODD_TEXTS = (
    "",
    "\0",
    "a\0b",
    "a\0",
    "'\"%_\\",
    "\u00e9",
    "e\u0301",
    "\U0001f3ac" * 50,
    "A",
    "a ",
    "x" * 2000,
)
"""Ids and values that a careless store folds, cuts or refuses."""

_FAILING: Sequence[tuple[str, Change]] = (
    ("put of another version", Put(THING, "there", b"new", {}, 10**9)),
    ("put of an absent one that is there", Put(THING, "there", b"new", {}, ABSENT)),
    ("put of a version that is not there", Put(THING, "nowhere", b"new", {}, 1)),
    ("delete of another version", Delete(THING, "there", 10**9)),
    ("delete of a version that is not there", Delete(THING, "nowhere", 1)),
    ("expect of another version", Expect(THING, "there", 10**9)),
    ("expect of absence of one that is there", Expect(THING, "there", ABSENT)),
    ("expect of another touch", ExpectTouched(TIMED, "f", 6)),
    ("expect of no touch of one that was touched", ExpectTouched(TIMED, "f", None)),
    ("expect of a touch of what is not there", ExpectTouched(TIMED, "nowhere", None)),
    ("drop of a segment that is not there", DropSegments("f", 0, [segment(500, 510)], 1)),
    ("drop of a segment that differs", DropSegments("f", 0, [segment(0, 10, "x")], 1)),
    ("drop of one that is there and one that is not", DropSegments("f", 0, row(2), 1)),
    ("add of a segment that overlaps", AddSegments("f", 0, [segment(40, 50), segment(5, 15)], 1)),
)  # fmt: skip


class RecordsContract:
    """What a metadata store promises of records and of `apply`."""

    def test_a_record_comes_back_as_it_was_put(self, store: MetadataStore) -> None:
        """Body and fields are the store's to keep, not to change: a GET answers these bytes."""
        fields: dict[str, Value] = {
            "number": -(2**63),
            "flag": False,
            "text": "a\0\u00e9",
            "group": frozenset({"x", "\0", ""}),
            "tag.with.dots/and\0": frozenset({"1"}),
            "tag.": frozenset(),
        }
        store.apply([Put(THING, "one", b"\0\xff{}", fields)])
        record = record_of(store, "one")
        assert b"\0\xff{}" == record.body
        assert fields == record.fields
        assert isinstance(record.fields["flag"], bool)
        assert "one" == record.id
        assert record.touched is None
        assert record.version > 0

    def test_any_text_is_an_id_and_a_value_of_its_own(self, store: MetadataStore) -> None:
        """Ids come from clients: one that is folded or cut would show another one's record."""
        store.apply([put(text, {"text": text, "group": frozenset({text})}) for text in ODD_TEXTS])
        found = store.get(THING, ODD_TEXTS)
        assert set(ODD_TEXTS) == set(found)
        assert sorted(ODD_TEXTS) == ids(store.find(Query(THING)).items)
        assert sorted(ODD_TEXTS) == ids(store.find(Query(THING, sort=Sort("text"))).items)
        for text in ODD_TEXTS:
            assert text == found[text].fields["text"]
            for field in ("text", "group"):
                assert [text] == ids(store.find(Query(THING, (Equal(field, text),))).items)

    def test_large_values_come_back_whole(self, store: MetadataStore) -> None:
        """A body as large as a request may be, a text of 64 KiB, a set of 10 000."""
        body = bytes(range(256)) * 2**16
        text = "\u00e9" * 2**15
        group = frozenset(f"member-{number}" for number in range(10_000))
        store.apply([Put(THING, "large", body, {"text": text, "group": group}), put("small")])
        record = record_of(store, "large")
        assert body == record.body
        assert {"text": text, "group": group} == record.fields
        for condition in (Equal("text", text), Equal("group", "member-9999")):
            assert ["large"] == ids(store.find(Query(THING, (condition,))).items)
        store.apply([put("large", {"group": group - {"member-9999"}})])
        assert [] == store.find(Query(THING, (Equal("group", "member-9999"),))).items

    def test_any_number_of_ids_is_looked_up(self, store: MetadataStore) -> None:
        """A page of segments asks for its objects at once; no limit of a driver may show."""
        names = [f"id-{number}" for number in range(40_000)]
        store.apply([put("id-7"), put("id-39999"), put("other", {"text": "id-39999"})])
        assert {"id-7", "id-39999"} == set(store.get(THING, names))
        assert {} == store.get(THING, [])
        found = store.find(Query(THING, (OneOf("text", tuple(names)),)))
        assert ["other"] == ids(found.items)

    def test_a_kind_that_was_never_heard_of_is_empty_and_can_be_filled(
        self, store: MetadataStore
    ) -> None:
        """Plugins bring kinds of their own, under any name, and the core adds fields later."""
        for name in ("Select", "select", "a b\0'\""):
            kind = Kind(name, {"Order By": FieldType.INT, "order by": FieldType.TEXT})
            assert {} == store.get(kind, ["x"])
            assert [] == store.find(Query(kind, sort=Sort("Order By"))).items
            store.apply([Put(kind, "x", name.encode(), {"Order By": 1, "order by": "t"})])
            wider = Kind(name, {**kind.fields, "more": FieldType.INT}, tags=True)
            store.apply([Put(wider, "y", b"", {"Order By": 1, "more": 2, "tag.t": frozenset("a")})])
            assert ["y"] == ids(store.find(Query(wider, (Equal("more", 2),))).items)
            assert ["y"] == ids(store.find(Query(wider, (Equal("tag.t", "a"),))).items)
            assert ["x", "y"] == ids(store.find(Query(kind, (Equal("Order By", 1),))).items)
            assert name.encode() == record_of(store, "x", kind).body

    def test_a_version_never_comes_again(self, store: MetadataStore) -> None:
        """Whoever holds an old version must fail, also if the id was deleted and made anew."""
        seen = set()
        for round_ in range(10):
            store.apply([put("a"), put("b", {"number": round_})])
            seen.add(record_of(store, "a").version)
            if round_ % 2:
                store.apply([Delete(THING, "a")])
                assert {} == store.get(THING, ["a"])
        assert 10 == len(seen)

    def test_a_change_with_the_right_expectation_is_made(self, store: MetadataStore) -> None:
        """Compare and swap is what every operation and the lease of the jobs rest on."""
        store.apply([Put(THING, "a", b"1", {}, ABSENT), Expect(THING, "b", ABSENT)])
        first = record_of(store, "a").version
        store.apply([Expect(THING, "a", first)])
        assert first == record_of(store, "a").version
        store.apply([Put(THING, "a", b"2", {}, first)])
        second = record_of(store, "a")
        assert b"2" == second.body
        store.apply(
            [
                Delete(THING, "a", second.version),
                Delete(THING, "b", ANY),
                Delete(THING, "c", ABSENT),
            ]
        )
        assert {} == store.get(THING, ["a", "b", "c"])

    @pytest.mark.parametrize(("why", "failing"), _FAILING, ids=[why for why, _ in _FAILING])
    def test_a_change_that_fails_at_any_position_changes_nothing(
        self, store: MetadataStore, why: str, failing: Change
    ) -> None:
        """All together or not at all: half of an operation would be a broken reference."""
        store.apply(
            [
                put("there", {"text": "old"}),
                put("gone"),
                flow("f"),
                flow("g"),
                AddSegments("f", 0, row(1), 7),
            ]
        )
        good: list[Change] = [
            put("new", {"text": "old"}),
            put("gone", {"number": 1}),
            Delete(TIMED, "g"),
            AddSegments("h", 0, row(3), 9),
            Emit([Event("flows/created", 1, b"{}")]),
        ]
        error = OverlapError if isinstance(failing, AddSegments) else ConflictError
        before = self._picture(store)
        for position in range(len(good) + 1):
            with pytest.raises(error):
                store.apply([*good[:position], failing, *good[position:]])
            assert before == self._picture(store), f"{why} at {position}"
        store.apply(good)
        assert before != self._picture(store)

    def test_a_conflict_is_told_before_an_overlap(self, store: MetadataStore) -> None:
        """After a conflict the core reads again; an overlap seen by a stale reader is no news."""
        store.apply([put("a"), AddSegments("f", 0, [segment(0, 10)], 1)])
        adding = AddSegments("f", 0, [segment(5, 15)], 1)
        with pytest.raises(ConflictError):
            store.apply([adding, Expect(THING, "a", ABSENT)])
        with pytest.raises(OverlapError):
            store.apply([adding, Expect(THING, "b", ABSENT)])

    def test_changing_nothing_is_no_error(self, store: MetadataStore) -> None:
        """An operation may find that there is nothing to do."""
        store.apply([])
        store.apply([AddSegments("f", 0, [], 1), DropSegments("g", 0, [], 1), Emit([])])
        assert [] == all_segments(store, "f")

    def test_a_store_in_order_says_so(self, store: MetadataStore) -> None:
        """`/ready` and `tams-gateway check` ask this."""
        health = store.check()
        assert health.ok
        assert health.detail

    def _picture(self, store: MetadataStore) -> list[object]:
        return [
            store.get(THING, ["there", "gone", "new", "nowhere"]),
            store.get(TIMED, ["f", "g"]),
            store.find(Query(THING, (Equal("text", "old"),))),
            all_segments(store, "f"),
            all_segments(store, "h"),
            store.events(None, 10).items,
        ]
