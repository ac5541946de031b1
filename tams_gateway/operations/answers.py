"""Answers that were given a moment ago, kept while nothing changes of what they were made from.

Readers of a live edge, and players behind one another, ask for the same flows and pages again and
again. Who asks for the first time pays nothing for that: an answer is kept from the second time on.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, Generic, ParamSpec, TypeAlias, TypeVar

import msgspec

from tams_gateway.domain.timerange import Span
from tams_gateway.operations.messages import Response
from tams_gateway.operations.recent import PERIOD_NS
from tams_gateway.storage.capabilities import Joined, SupportsJoin, SupportsWatch, Watch
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
        self._reads = _JoiningReads if isinstance(metadata, SupportsJoin) else _Reads
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
        found = kept.get(key)
        if found is not None and found.holds():
            return msgspec.structs.replace(found.response)
        if found is None and key not in kept:
            kept[key] = None
            self._size += _ASKED
            return make(None)
        seen = _Seen(self._watches)
        response = make(self._reads(self._metadata, seen))
        if seen.watches is not None and response.stream is None:
            kept[key] = _Answer(response, seen.watches)
            self._size += len(response.body) - (0 if found is None else len(found.response.body))
        return msgspec.structs.replace(response)


class _Answer(msgspec.Struct, frozen=True):
    response: Response
    watches: Sequence[Watch]

    def holds(self) -> bool:
        for watch in self.watches:  # noqa: SIM110 - a generator costs as much as the watches
            if watch.moved():
                return False
        return True


class _Seen:
    """What was read: a watch of each, or None when something was that cannot be watched."""

    __slots__ = ("_watching", "watches")

    def __init__(self, watching: SupportsWatch) -> None:
        self._watching = watching
        self.watches: list[Watch] | None = []

    def watch(self, ids: Sequence[str]) -> None:
        if self.watches is not None:
            self.watches.append(self._watching.watch(ids))


class _Reads:
    """A metadata store that watches all that is read of it, each before it is read."""

    def __init__(self, metadata: MetadataStore, seen: _Seen) -> None:
        self._metadata = metadata
        self._seen = seen
        self.find = _Unwatched(seen, metadata.find)
        self.uses = _Unwatched(seen, metadata.uses)
        self.events = _Unwatched(seen, metadata.events)
        self.tip = _Unwatched(seen, metadata.tip)
        self.apply = _Unwatched(seen, metadata.apply)
        self.check = _Unwatched(seen, metadata.check)
        self.close = _Unwatched(seen, metadata.close)

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        """Return those of the records that are there."""
        self._seen.watch(ids)
        return self._metadata.get(kind, ids)

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        """Return a page of segments."""
        self._seen.watch([query.flow_id])
        return self._metadata.segments(query)

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        """Return the first and the last segment that overlap `within`."""
        self._seen.watch([flow_id])
        return self._metadata.extent(flow_id, life, within)


class _JoiningReads(_Reads):
    """The same of a store that joins pages."""

    def joined(self, query: SegmentQuery) -> Joined | None:
        """Return a page of segments joined."""
        assert isinstance(self._metadata, SupportsJoin)
        self._seen.watch([query.flow_id])
        return self._metadata.joined(query)


class _Unwatched(Generic[P, T]):
    """A method of a store whose answers cannot be watched."""

    __slots__ = ("_call", "_seen")

    def __init__(self, seen: _Seen, call: Callable[P, T]) -> None:
        self._seen = seen
        self._call = call

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        self._seen.watches = None
        return self._call(*args, **kwargs)
