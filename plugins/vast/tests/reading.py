"""A schema on a test server, filled without the writer, and read by what is tested here."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TypeVar

import structlog
from tams_gateway_vast.reading import find, outbox, segments
from tams_gateway_vast.reading.cursors import position
from tams_gateway_vast.schema import open_schema
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables import rows
from tams_gateway_vast.tables.layout import EVENTS, LAYOUTS, PARTS
from tams_gateway_vast.tables.parts import Parts
from tams_gateway_vast.transport.cluster import Cluster, Transaction
from tams_gateway_vast.writing import shards
from tams_gateway_vast.writing.differences import differences
from tams_gateway_vast.writing.state import read

from tams_gateway.domain.timerange import Span
from tams_gateway.events.event import Event
from tams_gateway.plugin import Secret
from tams_gateway.storage.changes import Change
from tams_gateway.storage.metadata import Events
from tams_gateway.storage.query import Page, Query, SegmentQuery, UseQuery
from tams_gateway.storage.records import Record, Segment, Use
from tests.servers.vast import Server, Switches, vast

T = TypeVar("T")

SHARDS = 5


class Tables:
    """The tables of one schema. `requests` and `rows` count what the last call cost."""

    def __init__(self, server: Server, cluster: Cluster) -> None:
        self.server = server
        self.cluster = cluster
        self.requests = 0
        self.rows = 0
        self._versions = itertools.count(1)

    def apply(self, changes: Sequence[Change]) -> None:
        """Make changes but those of the outbox."""
        self.write(lambda transaction: self._apply(transaction, changes))

    def _apply(self, transaction: Transaction, changes: Sequence[Change]) -> None:
        state = read(transaction, LAYOUTS, changes)
        state.make(changes, next(self._versions))
        differences(transaction, LAYOUTS, state).send(transaction)

    def emit(self, events: Sequence[tuple[int, Event]]) -> None:
        """Append events, each to the shard beside it."""
        self.write(lambda transaction: self._emit(transaction, events))

    def _emit(self, transaction: Transaction, events: Sequence[tuple[int, Event]]) -> None:
        counts: Counter[int] = Counter()
        met, long, new = shards.read(transaction), Parts(), []
        for shard, event in events:
            counts[shard] += 1
            at = position(shard, met[shard].events + counts[shard])
            new.append(rows.event_row(at, 0, event, long))
        transaction.insert(EVENTS, rows.arrow(EVENTS, new))
        if (parts := long.rows()) is not None:
            transaction.insert(PARTS, parts)
        shards.write(transaction, met, next(self._versions), counts)

    def write(self, work: Callable[[Transaction], object]) -> None:
        """Do something in a transaction and commit it."""
        transaction = self.cluster.begin()
        work(transaction)
        assert self.cluster.commit(transaction)

    def find(self, query: Query) -> Page[Record]:
        """As the store does."""
        return self._counted(lambda: find.find(self.cluster, LAYOUTS, query))

    def segments(self, query: SegmentQuery) -> Page[Segment]:
        """As the store does."""
        return self._counted(lambda: segments.page(self.cluster, query))

    def extent(
        self, flow_id: str, life: int, within: Span | None = None
    ) -> tuple[Segment, Segment] | None:
        """As the store does."""
        return self._counted(lambda: segments.extent(self.cluster, flow_id, life, within))

    def uses(self, query: UseQuery) -> Page[Use]:
        """As the store does."""
        return self._counted(lambda: segments.uses(self.cluster, query))

    def events(self, after: str | None, limit: int) -> Events:
        """As the store does."""
        return self._counted(lambda: outbox.events(self.cluster, after, limit))

    def tip(self) -> str:
        """As the store does."""
        return self._counted(lambda: outbox.tip(self.cluster))

    def _counted(self, call: Callable[[], T]) -> T:
        self.server.forget()
        result = call()
        self.requests = len(self.server.requests)
        self.rows = sum(one.rows for one in self.server.requests if one.table.endswith("/segments"))
        return result


@contextmanager
def tables() -> Iterator[Tables]:
    """Make empty tables on a server of their own."""
    with vast(switches=Switches(signature="off")) as server:
        settings = Settings(
            endpoints=tuple(server.endpoints),
            access_key=Secret(server.access),
            secret_key=Secret(server.secret),
            bucket=server.bucket,
            shards=SHARDS,
        )
        with closing(Cluster(settings, structlog.get_logger(), lambda: 0.0)) as cluster:
            open_schema(cluster, settings)
            yield Tables(server, cluster)
