"""The contract of metadata stores: any history of changes, against a model of dicts."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tams_gateway.domain.timerange import Span
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
    Forget,
    Put,
)
from tams_gateway.storage.errors import ConflictError, OverlapError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Query, Segmentless, SegmentQuery, Touches, UseQuery
from tams_gateway.storage.records import Segment, Use, Value
from tams_gateway.testing.metadata_samples import TIMED, all_records, all_segments, clear, ids

FLOWS = ("a", "b", "c\0")
LIVES = (0, 1)
OBJECTS = ("x", "y", "z")

_Life: TypeAlias = tuple[str, int]

_expectations = st.sampled_from(["any", "absent", "current", "current", "stale"])
_fields: st.SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
    {"life": st.sampled_from(LIVES)}, optional={"label": st.sampled_from(["p", "q"])}
)
_nothing: st.SearchStrategy[dict[str, Value]] = st.builds(dict)
_actions: st.SearchStrategy[tuple[str, str, dict[str, Value]]] = st.one_of(
    st.tuples(st.just("put"), _expectations, _fields),
    st.tuples(st.just("delete"), _expectations, _nothing),
    st.tuples(st.just("expect"), _expectations, _nothing),
    st.tuples(st.just("touched"), _expectations, _nothing),
)
_new_segments = st.lists(
    st.builds(
        lambda start, length, object_id, init: Segment(
            start, start + length, object_id, b"", 1, init
        ),
        st.integers(0, 30),
        st.integers(1, 6),
        st.sampled_from(OBJECTS),
        st.sampled_from([None, None, "i"]),
    ),
    max_size=4,
).map(lambda drawn: _apart(drawn))


def _apart(segments: Sequence[Segment]) -> list[Segment]:
    """Keep of the segments those that overlap none before them."""
    kept: list[Segment] = []
    for one in segments:
        if not any(_overlap(one, other) for other in kept):
            kept.append(one)
    return kept


def _overlap(one: Segment, other: Segment) -> bool:
    return one.start_ns < other.end_ns and other.start_ns < one.end_ns


class _Model:
    """What a store must hold: plain dicts, no index, no cleverness."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[bytes, Mapping[str, Value], int | None]] = {}
        self.segments: dict[_Life, list[Segment]] = {}
        self.events: list[Event] = []

    def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            match change:
                case Put():
                    _, fields, touched = self.records.get(change.id, (b"", {}, None))
                    kept = touched if fields.get("life") == change.fields["life"] else None
                    self.records[change.id] = (change.body, change.fields, kept)
                case Delete():
                    self.records.pop(change.id, None)
                case Emit():
                    self.events += change.events
                case Forget():
                    self.events.clear()
        for change in changes:
            if isinstance(change, AddSegments | DropSegments):
                life = (change.flow_id, change.life)
                stored = [one for one in self.segments.get(life, []) if one not in change.segments]
                added = change.segments if isinstance(change, AddSegments) else []
                self.segments[life] = sorted([*stored, *added], key=lambda one: one.start_ns)
                self._touch(change.flow_id, change.life, change.at_ns)

    def _touch(self, flow_id: str, life: int, at: int) -> None:
        if flow_id in self.records and self.records[flow_id][1]["life"] == life:
            body, fields, touched = self.records[flow_id]
            self.records[flow_id] = (body, fields, at if touched is None else max(at, touched + 1))


class _Machine(RuleBasedStateMachine):
    """Applies what hypothesis thinks of to the store and to the model."""

    def __init__(self, store: MetadataStore) -> None:
        super().__init__()
        self.store = store
        self.model = _Model()
        self.versions: dict[str, list[int]] = {}
        self.steps = 0
        clear(store, FLOWS, LIVES)
        store.apply([Forget(store.tip())])

    @rule(
        actions=st.dictionaries(st.sampled_from(FLOWS), _actions, max_size=2),
        adding=st.dictionaries(
            st.tuples(st.sampled_from(FLOWS), st.sampled_from(LIVES)), _new_segments, max_size=2
        ),
        dropping=st.dictionaries(
            st.tuples(st.sampled_from(FLOWS), st.sampled_from(LIVES)),
            st.tuples(st.integers(0, 5), st.booleans()),
            max_size=1,
        ),
        backwards=st.booleans(),
    )
    def apply(
        self,
        actions: dict[str, tuple[str, str, dict[str, Value]]],
        adding: dict[_Life, list[Segment]],
        dropping: dict[_Life, tuple[int, bool]],
        backwards: bool,
    ) -> None:
        """Apply records' and segments' changes together, some of them doomed."""
        self.steps += 1
        conflict, changes = False, list[Change]()
        for record_id, (action, expectation, fields) in actions.items():
            if action == "touched":
                touched, holds = self._touched(record_id, expectation)
                changes.append(ExpectTouched(TIMED, record_id, touched))
            else:
                version, holds = self._version(record_id, expectation)
                changes.append(self._change(action, record_id, version, fields))
            conflict |= not holds
        for life, (count, wrong) in dropping.items():
            gone = list(self.model.segments.get(life, [])[:count])
            if wrong:
                gone.append(Segment(1000, 1001, "never", b"", 1))
            conflict |= wrong
            changes.append(DropSegments(*life, gone, self.steps))
        if self.steps % 5:
            changes.append(Emit([Event("flows/updated", self.steps, b"", {"flow_id": "a"})]))
        else:
            changes.append(Forget(self.store.tip()))
        overlap = False
        for life, new in adding.items():
            if life not in dropping:
                stored = self.model.segments.get(life, [])
                overlap |= any(_overlap(one, other) for one in new for other in stored)
                changes.append(AddSegments(*life, new, self.steps))
        self._apply(changes[::-1] if backwards else changes, conflict, overlap)

    def _apply(self, changes: list[Change], conflict: bool, overlap: bool) -> None:
        try:
            self.store.apply(changes)
        except OverlapError:
            assert overlap
            assert not conflict
        except ConflictError:
            assert conflict
        else:
            assert not conflict
            assert not overlap
            self.model.apply(changes)
            self._note_versions(changes)

    def _version(self, record_id: str, expectation: str) -> tuple[int, bool]:
        """Return a version to expect, and whether it is the one that is there."""
        seen = self.versions.get(record_id, [])
        there = record_id in self.model.records
        if expectation == "any":
            return ANY, True
        if expectation == "absent":
            return ABSENT, not there
        if expectation == "stale" and len(seen) > 1:
            return seen[-2], False
        return (seen[-1], True) if there else (ABSENT, True)

    def _touched(self, record_id: str, expectation: str) -> tuple[int | None, bool]:
        """Return a touch to expect, and whether it is the one that is there."""
        if record_id not in self.model.records:
            return None, False
        touched = self.model.records[record_id][2]
        if expectation == "stale":
            return (touched or 0) + 1, False
        return touched, True

    def _change(
        self, action: str, record_id: str, version: int, fields: dict[str, Value]
    ) -> Change:
        if action == "put":
            return Put(TIMED, record_id, b"step %d" % self.steps, fields, version)
        if action == "delete":
            return Delete(TIMED, record_id, version)
        return Expect(TIMED, record_id, version)

    def _note_versions(self, changes: list[Change]) -> None:
        for change in changes:
            if isinstance(change, Put):
                version = self.store.get(TIMED, [change.id])[change.id].version
                seen = self.versions.setdefault(change.id, [])
                assert version not in seen
                seen.append(version)

    @invariant()
    def records_are_those_of_the_model(self) -> None:
        """Each body, field and `touched`; none too many."""
        found = {
            one.id: (one.body, one.fields, one.touched) for one in all_records(self.store, TIMED)
        }
        assert self.model.records == found

    @invariant()
    def events_are_those_of_the_model(self) -> None:
        """Those of what was applied, in that order, less what was forgotten."""
        assert self.model.events == self.store.events(None, 1000).items

    @invariant()
    def segments_are_those_of_the_model(self) -> None:
        """Of each life, of each object, and what the extent says."""
        for flow_id in FLOWS:
            for life in LIVES:
                expected = self.model.segments.get((flow_id, life), [])
                assert expected == all_segments(self.store, flow_id, life)
                ends = (expected[0], expected[-1]) if expected else None
                assert ends == self.store.extent(flow_id, life)
                query = SegmentQuery(flow_id, life, object_id="x", reverse=True)
                of_object = [one for one in expected if one.object_id == "x"]
                assert of_object[::-1] == self.store.segments(query).items

    @invariant()
    def uses_are_those_of_the_model(self) -> None:
        """As media and as init object."""
        for as_init, names in ((False, OBJECTS), (True, ("i",))):
            for name in names:
                users = [
                    Use(*life)
                    for life, segments in self.model.segments.items()
                    for one in segments
                    if name == (one.init_object_id if as_init else one.object_id)
                ]
                expected = sorted(set(users))
                assert expected == self.store.uses(UseQuery(name, as_init)).items

    @invariant()
    def conditions_on_segments_are_those_of_the_model(self) -> None:
        """`Touches` and `Segmentless` look at the record's own life."""
        lives = {
            record_id: self.model.segments.get((record_id, int(str(fields["life"]))), [])
            for record_id, (_, fields, _) in self.model.records.items()
        }
        without = sorted(record_id for record_id, segments in lives.items() if not segments)
        assert without == ids(self.store.find(Query(TIMED, (Segmentless(),))).items)
        touching = sorted(
            record_id
            for record_id, segments in lives.items()
            if any(one.start_ns < 13 and one.end_ns > 7 for one in segments)
        )
        assert touching == ids(self.store.find(Query(TIMED, (Touches(Span(7, 13)),))).items)


class MachineContract:
    """What a metadata store promises of any history."""

    @pytest.fixture
    def histories(self, pytestconfig: pytest.Config) -> int:
        """Return how many histories are made up, of 25 steps each."""
        count: int = pytestconfig.getoption("tams_histories")
        return count

    def test_any_history_leaves_what_the_model_says(
        self, store: MetadataStore, histories: int
    ) -> None:
        """The clauses look at one promise each; this one at how they meet."""

        class OnStore(_Machine):
            def __init__(self) -> None:
                super().__init__(store)

        run_state_machine_as_test(
            OnStore,
            settings=settings(
                max_examples=histories,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
