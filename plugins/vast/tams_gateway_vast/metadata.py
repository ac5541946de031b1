"""The metadata store in a VAST Database."""

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from tams_gateway.domain.health import Health
from tams_gateway.domain.timerange import Span
from tams_gateway.storage.changes import Change, Forget
from tams_gateway.storage.metadata import Events
from tams_gateway.storage.query import Page, Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import Kind, Record, Segment, Use
from tams_gateway_vast import schema
from tams_gateway_vast.reading import find, outbox, records, segments
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.layout import Layouts
from tams_gateway_vast.transport.cluster import Cluster
from tams_gateway_vast.writing import shards
from tams_gateway_vast.writing.journal import Journal
from tams_gateway_vast.writing.probes import choose
from tams_gateway_vast.writing.writer import Writer

LAYOUTS: Final = Layouts()


class VastMetadata:
    """Keeps records, segments and events in the tables of a schema.

    Makes what is missing there, and finds out how writers are guarded, when it is opened.
    """

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        now: Callable[[], float],
        layouts: Layouts = LAYOUTS,
    ) -> None:
        self._settings = settings
        self.layouts = layouts
        self.cluster = Cluster(settings, log, now)
        self._journal = Journal(settings.journal_folder)
        try:
            self._journal.end_those_left(self.cluster.rollback)
            schema.open_schema(self.cluster, settings, layouts)
            self.guard = choose(self.cluster, settings)
            self._count = len(self.cluster.read(shards.read))
        except BaseException:
            self.cluster.close()
            self._journal.close()
            raise
        self._writer = self._new_writer()
        _stores.add(self)

    def _new_writer(self) -> Writer:
        patience = self._settings.patience
        return Writer(self.cluster, self.layouts, self.guard, self._journal, self._count, patience)

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        """Return those of the records that are there."""
        if not ids:
            return {}
        layout = self.layouts.layout_of(kind)
        found = self.cluster.read(lambda transaction: records.get(transaction, layout, ids))
        return {record_id: one.record for record_id, one in found.items()}

    def find(self, query: Query) -> Page[Record]:
        """Return a page of records."""
        return find.find(self.cluster, self.layouts, query)

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        """Return a page of segments."""
        return segments.page(self.cluster, query)

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        """Return the first and the last segment that overlap `within`."""
        return segments.extent(self.cluster, flow_id, life, within)

    def uses(self, query: UseQuery) -> Page[Use]:
        """Return a page of the lives of flows that use an object."""
        return segments.uses(self.cluster, query)

    def events(self, after: str | None, limit: int) -> Events:
        """Return the oldest events behind a cursor."""
        return outbox.events(self.cluster, after, limit)

    def tip(self) -> str:
        """Return the cursor behind which only later commits come."""
        return outbox.tip(self.cluster)

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes all together or not at all; durable on return."""
        for change in changes:
            if isinstance(change, Forget):
                outbox.numbers(change.until)
        self._writer.apply(changes)

    def check(self) -> Health:
        """Ask each endpoint, and say what was found, and how writers are kept apart."""
        found = self.cluster.check()
        return msgspec.structs.replace(found, detail=f"{found.detail}; guard {self.guard.name}")

    def close(self) -> None:
        """Close the connections."""
        _stores.discard(self)
        self.cluster.close()
        self._journal.close()

    def _after_fork(self) -> None:
        self._journal.leave()
        self._journal = Journal(self._settings.journal_folder)
        # Threads that held its locks are not in this process.
        self._writer = self._new_writer()


_stores: "weakref.WeakSet[VastMetadata]" = weakref.WeakSet()


def _reopen() -> None:
    for store in list(_stores):
        store._after_fork()


os.register_at_fork(after_in_child=_reopen)
