"""A small gateway against an independent model, by random requests over HTTP.

The model keeps segments as plain tuples and compares them as sets of integers on a tiny timeline:
no arithmetic of the gateway's own is used. It proves R-SEG-02, -03, -04, -15, -16, -20, -24, -26,
-34, R-OBJ-03, R-OBJ-07 and R-FLW-18 in combination.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tests.deployments import config, in_process


class Range(NamedTuple):
    """A timerange of a few nanoseconds."""

    start: int
    end: int
    ends_inside: bool

    @property
    def ticks(self) -> frozenset[int]:
        return frozenset(range(self.start, self.end + self.ends_inside))

    def __str__(self) -> str:
        if self.start == self.end:
            return f"[{stamp(self.start)}]"
        return f"[{stamp(self.start)}_{stamp(self.end)}{')]'[self.ends_inside]}"

    def moved(self, by: int) -> "Range":
        return Range(self.start + by, self.end + by, self.ends_inside)


class Stored(NamedTuple):
    """A segment of the model."""

    timerange: Range
    object_id: str
    ts_offset: int


def stamp(tick: int) -> str:
    """Return a timestamp whose ticks lie around a whole second, to cross it."""
    nanoseconds = 1_000_000_000 + tick
    return f"{nanoseconds // 1_000_000_000}:{nanoseconds % 1_000_000_000}"


def offset(ticks: int) -> str:
    return f"{'-' if ticks < 0 else ''}0:{abs(ticks)}"


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    start = draw(st.integers(-6, 12))
    length = draw(st.integers(0, 5))
    return Range(start, start + length, length == 0 or draw(st.booleans()))


OFFSETS = st.integers(-4, 4)
FLOWS = st.integers(0, 1)
OPENING, CLOSING = st.sampled_from("[("), st.sampled_from("])")


class Model(RuleBasedStateMachine):
    """Posts, deletes and reads the segments of two flows, and compares."""

    client: Client
    objects = Bundle("objects")

    @initialize()
    def start(self) -> None:
        self.ingest = Ingest(self.client)
        self.flows = [self.ingest.flow(), self.ingest.flow()]
        self.stored: list[list[Stored]] = [[], []]
        self.object_ranges: dict[str, Range] = {}
        self.owners: dict[str, int] = {}
        self.gone: set[str] = set()

    @rule(target=objects, flow=FLOWS)
    def allocate(self, flow: int) -> str:
        object_id = self.ingest.allocated(self.flows[flow])
        self.owners[object_id] = flow
        return object_id

    @rule(object_id=objects, flow=FLOWS, timerange=ranges(), ts_offset=OFFSETS)
    def post(self, object_id: str, flow: int, timerange: Range, ts_offset: int) -> None:
        segment = Stored(timerange, object_id, ts_offset)
        outcome = self.expected(flow, segment)
        body = {
            "object_id": object_id,
            "timerange": str(timerange),
            "ts_offset": offset(ts_offset),
        }

        answer = self.client.post(f"/flows/{self.flows[flow]}/segments", json=body)

        assert answer.status == (201 if outcome else 400), (answer.body, segment, self.stored)
        if outcome and segment not in self.stored[flow]:
            self.stored[flow].append(segment)
            self.object_ranges.setdefault(object_id, timerange.moved(-ts_offset))

    def expected(self, flow: int, segment: Stored) -> bool:
        """Whether the segment may be stored, or is."""
        known = self.object_ranges.get(segment.object_id)
        if segment.object_id in self.gone:
            return False
        if known is None and self.owners[segment.object_id] != flow:
            return False
        if segment in self.stored[flow]:
            return True
        if any(segment.timerange.ticks & one.timerange.ticks for one in self.stored[flow]):
            return False
        on_object = segment.timerange.moved(-segment.ts_offset)
        return known is None or on_object.ticks <= known.ticks

    @rule(flow=FLOWS, timerange=ranges(), opening=OPENING, closing=CLOSING)
    def delete(self, flow: int, timerange: Range, opening: str, closing: str) -> None:
        text, ticks = query(timerange, opening, closing)
        self.remove(flow, {"timerange": text}, lambda one: one.timerange.ticks <= ticks)

    @rule(flow=FLOWS, object_id=objects)
    def delete_object(self, flow: int, object_id: str) -> None:
        self.remove(flow, {"object_id": object_id}, lambda one: one.object_id == object_id)

    @rule(flow=FLOWS)
    def delete_flow(self, flow: int) -> None:
        assert self.client.delete(f"/flows/{self.flows[flow]}").status == 204
        self.forget(flow, self.stored[flow])
        self.flows[flow] = self.ingest.flow(self.flows[flow])

    @rule(object_id=consumes(objects))
    def drop(self, object_id: str) -> None:
        """Use an object no more, so that others come to be used."""

    def remove(self, flow: int, parameters: dict[str, str], goes: Any) -> None:
        path = f"/flows/{self.flows[flow]}/segments"
        assert self.client.delete(path, query=parameters).status == 204
        self.forget(flow, [one for one in self.stored[flow] if goes(one)])

    def forget(self, flow: int, segments: list[Stored]) -> None:
        self.stored[flow] = [one for one in self.stored[flow] if one not in segments]
        used = {one.object_id for stored in self.stored for one in stored}
        self.gone |= self.object_ranges.keys() - used

    @rule(
        flow=FLOWS,
        timerange=ranges(),
        opening=OPENING,
        closing=CLOSING,
        reverse=st.booleans(),
        limit=st.integers(1, 4),
    )
    def read(
        self, flow: int, timerange: Range, opening: str, closing: str, reverse: bool, limit: int
    ) -> None:
        text, ticks = query(timerange, opening, closing)
        parameters: dict[str, str | int] = {"timerange": text, "limit": limit}
        parameters["reverse_order"] = reverse

        found = self.client.listed(f"/flows/{self.flows[flow]}/segments", query=parameters)

        wanted = [one for one in self.in_order(flow) if one.timerange.ticks & ticks]
        assert shown(found) == [expected(one) for one in (wanted[::-1] if reverse else wanted)]

    def in_order(self, flow: int) -> list[Stored]:
        return sorted(self.stored[flow], key=lambda one: min(one.timerange.ticks))

    @invariant()
    def flows_and_objects_agree(self) -> None:
        for flow, flow_id in enumerate(self.flows):
            ordered = self.in_order(flow)
            segments = self.client.listed(f"/flows/{flow_id}/segments")
            assert shown(segments) == [expected(one) for one in ordered]
            document = self.ingest.document(flow_id, {"include_timerange": "true"})
            assert document["timerange"] == extent([one.timerange for one in ordered])
        for object_id, timerange in self.object_ranges.items():
            users = {
                flow_id
                for flow, flow_id in enumerate(self.flows)
                if any(one.object_id == object_id for one in self.stored[flow])
            }
            answer = self.client.get(f"/objects/{object_id}")
            assert answer.status == (200 if users else 404)
            if users:
                assert answer.json["referenced_by_flows"] == sorted(users)
                assert answer.json["timerange"] == str(timerange)


def query(timerange: Range, opening: str, closing: str) -> tuple[str, set[int]]:
    """Return a timerange as a query, with any marks, and the ticks in it."""
    text = f"{opening}{stamp(timerange.start)}_{stamp(timerange.end)}{closing}"
    ticks = set(range(timerange.start, timerange.end + 1))
    if opening == "(":
        ticks.discard(timerange.start)
    if closing == ")":
        ticks.discard(timerange.end)
    return text, ticks


def extent(timeranges: list[Range]) -> str:
    """Return what a derived timerange is to read: the marks of its ends, always both bounds."""
    if not timeranges:
        return "()"
    last = timeranges[-1]
    return f"[{stamp(timeranges[0].start)}_{stamp(last.end)}{')]'[last.ends_inside]}"


def expected(one: Stored) -> tuple[str, str, str]:
    return one.object_id, str(one.timerange), offset(one.ts_offset)


def shown(segments: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(one["object_id"], one["timerange"], one.get("ts_offset", "0:0")) for one in segments]


@contextmanager
def running(kind: str, folder: Any) -> Iterator[Client]:
    with in_process(kind, config(kind, folder, {}), []) as deployment:
        yield deployment.client


@pytest.mark.parametrize(
    ("kind", "examples", "steps"), [("wsgi-memory", 50, 30), ("wsgi-sqlite", 12, 30)]
)
def test_any_sequence_of_requests_agrees_with_the_model(
    kind: str, examples: int, steps: int, tmp_path: Any
) -> None:
    """Each example works on two fresh flows of one gateway."""
    with running(kind, tmp_path) as client:
        machine = type("Machine", (Model,), {"client": client})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
