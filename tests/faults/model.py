"""What one writer knows of the store: an independent model, from acknowledgments alone."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

SLICE = 1_000_000
"""Seconds of each flow's timeline that belong to one writer."""


class Known(msgspec.Struct, frozen=True):
    """What of a flow belongs to a writer: its tags, and its segments with their objects.

    The segments in `doomed` are being deleted in the background: they may be there or not.
    """

    tags: Mapping[str, str] = {}
    segments: Mapping[str, str] = {}
    doomed: Mapping[str, str] = {}

    def shows(self, seen: "Known") -> bool:
        """Whether what was seen is this."""
        extra = seen.segments.items() - self.segments.items()
        return (
            seen.tags == self.tags
            and self.segments.items() <= seen.segments.items()
            and extra <= self.doomed.items()
        )


class Allocated(NamedTuple):
    """An object that is not registered yet."""

    flow_id: str
    target: str
    uploaded: bool


class State(msgspec.Struct, frozen=True):
    """Everything that a writer made and that stands.

    `digests` tells the SHA-256 of the objects with bytes. The objects in `fading` had uses that
    are being deleted in the background.
    """

    flows: Mapping[str, Known] = {}
    sources: Mapping[str, str] = {}
    allocated: Mapping[str, Allocated] = {}
    digests: Mapping[str, str] = {}
    fading: frozenset[str] = frozenset()

    def shows(self, seen: Mapping[str, Known]) -> bool:
        """Whether what was seen of the flows is this."""
        return self.flows.keys() == seen.keys() and all(
            known.shows(seen[flow_id]) for flow_id, known in self.flows.items()
        )

    def used(self) -> set[str]:
        """Return the objects that certainly have a use."""
        return {id_ for known in self.flows.values() for id_ in known.segments.values()}

    def with_flow(self, flow_id: str, known: Known) -> "State":
        """Return the state with a flow that is new or different."""
        return replace(self, flows={**self.flows, flow_id: known})

    def with_segments(self, flow_id: str, added: Mapping[str, str]) -> "State":
        """Return the state with further segments; their objects are registered by that."""
        known = self.flows[flow_id]
        there = replace(known, segments={**known.segments, **added})
        allocated = without(self.allocated, added.values())
        return replace(self.with_flow(flow_id, there), allocated=allocated)

    def without_flow(self, flow_id: str) -> "State":
        """Return the state without a flow."""
        known = self.flows[flow_id]
        gone = {*known.segments.values(), *known.doomed.values()}
        waiting = {id_: one for id_, one in self.allocated.items() if one.flow_id != flow_id}
        return replace(
            self,
            flows=without(self.flows, [flow_id]),
            sources=without(self.sources, [flow_id]),
            allocated=waiting,
            fading=self.fading | gone,
        )

    def without_segments(
        self, flow_id: str, timeranges: Iterable[str], *, at_once: bool
    ) -> "State":
        """Return the state without segments of a flow, or while they are being deleted."""
        known = self.flows[flow_id]
        gone = {one: known.segments[one] for one in timeranges}
        doomed = known.doomed if at_once else {**known.doomed, **gone}
        there = Known(known.tags, without(known.segments, gone), doomed)
        fading = self.fading | (frozenset() if at_once else frozenset(gone.values()))
        return replace(self.with_flow(flow_id, there), fading=fading)

    def settled(self) -> "State":
        """Return the state when all deletions in the background are done."""
        flows = {id_: replace(known, doomed={}) for id_, known in self.flows.items()}
        return replace(self, flows=flows, fading=frozenset())


def without(mapping: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return a copy without some keys."""
    gone = set(keys)
    return {key: value for key, value in mapping.items() if key not in gone}


def span(timerange: str) -> tuple[int, int]:
    """Return the seconds of a timerange as the writers make them."""
    found = re.fullmatch(r"\[(\d+):0_(\d+):0\)", timerange)
    assert found is not None, timerange
    return int(found[1]), int(found[2])


def owner(timerange: str) -> int:
    """Return the number of the writer to whom a segment belongs."""
    return span(timerange)[0] // SLICE
