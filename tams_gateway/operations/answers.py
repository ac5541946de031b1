"""Answers that were given a moment ago, kept while nothing changes of what they were made from.

Readers of a live edge, and players behind one another, ask for the same flows and pages again and
again. Who asks for the first time pays nothing for that: an answer is kept from the second time on.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, ParamSpec, TypeAlias, TypeVar

import msgspec

from tams_gateway.domain.timerange import Span
from tams_gateway.operations.messages import Response
from tams_gateway.operations.recent import PERIOD_NS
from tams_gateway.storage.capabilities import SupportsJoin, SupportsWatch, Watch
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Page, SegmentQuery
from tams_gateway.storage.records import Kind, Record, Segment

P = ParamSpec("P")
T = TypeVar("T")

Make: TypeAlias = Callable[[MetadataStore | None], Response]
"""Makes an answer from what it reads of the store that it is given; None: of the gateway's own."""

_ASKED: Final = 1024
"""What an entry takes beside its body, in bytes, roughly: the key above all."""


class Answers:
    """The answers to requests, by what tells one request from another.

    None is older than the URLs in it may be, nor out of date: its watches have not moved. `most` is
    how many bytes are kept; more, and all is forgotten.
    """

    def __init__(self, metadata: MetadataStore, most: int) -> None:
        self._metadata = metadata
        self._watches = metadata if most and isinstance(metadata, SupportsWatch) else None
        self._most = most
        self._period = 0
        self._size = 0
        self._kept: dict[Hashable, _Answer | None] = {}

    def answer(self, key: Hashable, now_ns: int, make: Make) -> Response:
        """Return the answer to what the key stands for, made now or a moment ago.

        `now_ns` is the time, in nanoseconds since 1970.
        """
        if self._watches is None:
            return make(None)
        period = now_ns // PERIOD_NS
        if period != self._period or self._size > self._most:
            # A new dict, since other threads may still add to the old one.
            self._period, self._size, self._kept = period, 0, {}
        kept = self._kept
        if key not in kept:
            kept[key] = None
            self._size += _ASKED
            return make(None)
        found = kept[key]
        if found is not None and not any(watch.moved() for watch in found.watches):
            return msgspec.structs.replace(found.response)
        reads = _Reads(self._metadata, self._watches)
        response = make(reads)
        if reads.watches is not None and response.stream is None:
            kept[key] = _Answer(response, reads.watches)
            self._size += len(response.body)
        return msgspec.structs.replace(response)


class _Answer(msgspec.Struct, frozen=True):
    response: Response
    watches: Sequence[Watch]


class _Reads:
    """A metadata store that watches all that is read of it, each before it is read.

    `watches` is None when something was read that cannot be watched.
    """

    def __init__(self, metadata: MetadataStore, watching: SupportsWatch) -> None:
        self.watches: list[Watch] | None = []
        self._metadata = metadata
        self._watching = watching
        self.find = self._unwatched(metadata.find)
        self.uses = self._unwatched(metadata.uses)
        self.events = self._unwatched(metadata.events)
        self.tip = self._unwatched(metadata.tip)
        self.apply = self._unwatched(metadata.apply)
        self.check = self._unwatched(metadata.check)
        self.close = self._unwatched(metadata.close)
        if isinstance(metadata, SupportsJoin):
            self.joined = self._of_query(metadata.joined)

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        """Return those of the records that are there."""
        self._watch(ids)
        return self._metadata.get(kind, ids)

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        """Return a page of segments."""
        return self._of_query(self._metadata.segments)(query)

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        """Return the first and the last segment that overlap `within`."""
        self._watch([flow_id])
        return self._metadata.extent(flow_id, life, within)

    def _watch(self, ids: Sequence[str]) -> None:
        if self.watches is not None:
            self.watches.append(self._watching.watch(ids))

    def _of_query(self, read: Callable[[SegmentQuery], T]) -> Callable[[SegmentQuery], T]:
        def watched(query: SegmentQuery) -> T:
            self._watch([query.flow_id])
            return read(query)

        return watched

    def _unwatched(self, call: Callable[P, T]) -> Callable[P, T]:
        def unwatched(*args: P.args, **kwargs: P.kwargs) -> T:
            self.watches = None
            return call(*args, **kwargs)

        return unwatched
