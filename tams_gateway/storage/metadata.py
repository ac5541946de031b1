"""The contract of metadata stores."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.storage.changes import Change
from tams_gateway.storage.query import Page, Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import Kind, Record, Segment, Use


class Events(msgspec.Struct, frozen=True):
    """Events in order, and the cursor behind them."""

    items: list[Event]
    cursor: str


class MetadataStore(Protocol):
    """Keeps records, segments and events; knows nothing of HTTP or of the rules of TAMS.

    Every method may be called by many threads at once, and by many processes on one store unless
    its provider says `shared=False`. What `apply` made is seen by every later call, of every
    process. All raise `StoreError` when the store fails, and never a foreign error.
    Connections are opened after a fork, not at import.
    """

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        """Return those of the records that are there, for any number of ids."""

    def find(self, query: Query) -> Page[Record]:
        """Return a page of records; inserts between pages neither repeat nor drop an item."""

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        """Return a page of segments, at a cost that does not depend on the flow's length."""

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        """Return the first and the last segment that overlap `within` (None: of all)."""

    def uses(self, query: UseQuery) -> Page[Use]:
        """Return a page of the lives of flows that use an object."""

    def events(self, after: str | None, limit: int) -> Events:
        """Return the oldest events behind a cursor (None: from the beginning).

        A reader that follows the cursors misses none, whatever commits late, and meets those of
        one flow or source in the order of their commits.
        """

    def tip(self) -> str:
        """Return the cursor behind which only later commits come.

        For a reader that is new and wants nothing of the past, such as a sink of a plugin; the
        core itself reads from the beginning.
        """

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes all together or not at all, however many; durable on return.

        A record is named by at most one Put, Delete or Expect, a life of a flow by at most one
        AddSegments or DropSegments. The order of the list means nothing: every expectation, that
        of `ExpectTouched` too, looks at what stood before the call, and records change before
        segments do, so that these move `touched` of a record that comes with them. A Put has no
        field that its kind does not declare, and a later `Kind` of the same name may declare
        more. An empty list changes nothing.

        Raises `ConflictError` where an expectation fails, else `OverlapError` where added
        segments overlap stored ones.
        """

    def check(self) -> Health:
        """Make one round trip and say what was found; does not raise."""

    def close(self) -> None:
        """Release what is held; no call follows."""
