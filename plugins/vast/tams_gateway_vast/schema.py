"""The schema with our tables: made at the first start, checked at every one, migrated."""

import importlib.metadata
import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.migration import STEPS, Step, latest
from tams_gateway_vast.projections import create_missing
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.layout import LAYOUTS, OUTBOX, SCHEMA_VERSIONS, SHARDS, Layouts
from tams_gateway_vast.tables.rows import Row, arrow
from tams_gateway_vast.transport.border import Away, Rival
from tams_gateway_vast.transport.cluster import Cluster, Transaction

_SORTING: Final = (5, 3, 5)
"""The version of VAST from which tables can have sorting keys."""

_PAUSE: Final = 0.2
"""About so many seconds pass before what a rival was faster at is looked at again."""


class Found(msgspec.Struct, frozen=True):
    """What a schema holds: the version of our tables, None where there are none.

    `tables` are the names of all tables, ours or not, each with whether it is sorted; `shards` is
    the number of rows that guard writes.
    """

    version: int | None
    tables: Mapping[str, bool]
    shards: int

    @property
    def sorted(self) -> set[str]:
        """The names of the tables that have a sorting key."""
        return {name for name, has_key in self.tables.items() if has_key}


def open_schema(
    cluster: Cluster,
    settings: Settings,
    layouts: Layouts = LAYOUTS,
    steps: Sequence[Step] = STEPS,
) -> None:
    """See that our tables are there in our version, and tell the cluster which are sorted.

    With `auto_init` they are made or migrated. Raises `StoreError`, also for tables that are newer
    than this plugin, or not ours.
    """
    schema = Schema(cluster, settings, layouts, steps)
    found = schema.look()
    if found.version is None:
        schema.refuse_unless_automatic("holds no tables of ours", "init")
        schema.make()
        found = schema.look()
    elif found.version < latest(steps):
        old = f"has tables of version {found.version}, and this plugin takes {latest(steps)}"
        schema.refuse_unless_automatic(old, "migrate")
        schema.migrate()
        found = schema.look()
    schema.check(found)
    cluster.sorted = found.sorted
    if settings.projections:
        schema.settle(lambda transaction: bool(create_missing(transaction, layouts)))


class Schema:
    """The schema of the settings, with what is done to it. Everything raises `StoreError`."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        layouts: Layouts = LAYOUTS,
        steps: Sequence[Step] = STEPS,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._layouts = layouts
        self._steps = steps
        self.version = latest(steps)

    def look(self) -> Found:
        """Return what is there. Raises `StoreError` for tables that only look like ours."""
        return self._cluster.read(self._look)

    def make(self) -> bool:
        """Make schema, tables and their first rows; return False if another was faster."""
        return self.settle(self._make)

    def migrate(self) -> bool:
        """Make tables of our version of older ones; return False if another was faster."""
        return self.settle(self._migrate)

    def check(self, found: Found) -> None:
        """Raise `StoreError` unless what is there is what this plugin works with."""
        place, version = self._settings.place, found.version
        if version is None:
            raise StoreError(f"{place}: holds no tables of ours; run: tams-gateway vast init")
        if version > self.version:
            raise StoreError(
                f"{place}: has tables of version {version}, and this plugin takes {self.version}; "
                "install the newer plugin"
            )
        if version < self.version:
            raise StoreError(
                f"{place}: has tables of version {version}, and this plugin takes {self.version}; "
                "run: tams-gateway vast migrate"
            )
        gone = [one.name for one in self._layouts.tables if one.name not in found.tables]
        if gone:
            raise StoreError(
                f"{place}: has lost tables: {', '.join(gone)}; restore it from a snapshot"
            )

    def refuse_unless_automatic(self, what: str, command: str) -> None:
        """Raise `StoreError` where `auto_init` is off, naming the command."""
        if not self._settings.auto_init:
            raise StoreError(f"{self._settings.place}: {what}; run: tams-gateway vast {command}")

    def settle(self, attempt: Callable[[Transaction], bool]) -> bool:
        """Call `attempt` in a transaction and commit, until it is done; return whether it was us.

        `attempt` looks at what is there, and returns False if nothing is left to do. Where a rival
        was faster, or an answer was lost, it is called again.
        """
        ends = time.monotonic() + self._settings.patience
        for number in itertools.count():
            try:
                done = self._attempt(attempt)
            except (Rival, Away):
                if time.monotonic() > ends:
                    raise
                done = None
            if done is not None:
                return done
            time.sleep(random.uniform(0.5, 1.0) * _PAUSE * min(number + 1, 10))
        raise AssertionError("a count has no end")

    def _attempt(self, attempt: Callable[[Transaction], bool]) -> bool | None:
        """Return what `settle` does, None if it is to be looked at again."""
        transaction = self._cluster.begin()
        try:
            if not attempt(transaction):
                self._cluster.rollback(transaction.txid)
                return False
        except BaseException:
            self._cluster.rollback(transaction.txid)
            raise
        return self._cluster.commit(transaction) or None

    def _look(self, transaction: Transaction) -> Found:
        tables = transaction.tables()
        if SCHEMA_VERSIONS.name not in tables:
            self._refuse_strangers(tables)
            return Found(None, tables, 0)
        versions = transaction.select(SCHEMA_VERSIONS, ("version",)).column(0).to_pylist()
        if not versions:
            raise StoreError(
                f"{self._settings.place}: the table {SCHEMA_VERSIONS.name} is empty; restore it "
                "from a snapshot"
            )
        shards = transaction.select(SHARDS, ("shard",)).num_rows if SHARDS.name in tables else 0
        return Found(max(versions), tables, shards)

    def _refuse_strangers(self, tables: Mapping[str, bool]) -> None:
        strange = sorted(tables.keys() & {one.name for one in self._layouts.tables})
        if strange:
            raise StoreError(
                f"{self._settings.place}: holds tables of other software: {', '.join(strange)}; "
                "name another schema in the config"
            )

    def _make(self, transaction: Transaction) -> bool:
        if self._look(transaction).version is not None:
            return False
        transaction.create_schema()
        sorting = self._sorting()
        for table in self._layouts.tables:
            transaction.create_table(table, sorting and bool(table.sorted_by))
        shards: list[Row] = [
            {"shard": number, "commits": 0, "history": b"", "events": 0}
            for number in range(self._settings.shards)
        ]
        transaction.insert(SHARDS, arrow(SHARDS, shards))
        transaction.insert(OUTBOX, arrow(OUTBOX, [{"forgotten": None}]))
        self._note(transaction)
        return True

    def _migrate(self, transaction: Transaction) -> bool:
        found = self._look(transaction)
        if found.version is None or found.version >= self.version:
            return False
        self._cluster.sorted = found.sorted
        for step in self._steps:
            if step.version > found.version:
                step.apply(transaction)
        self._note(transaction)
        return True

    def _note(self, transaction: Transaction) -> None:
        row: Row = {
            "version": self.version,
            "applied_ns": time.time_ns(),
            "gateway": importlib.metadata.version("tams-gateway-vast"),
        }
        transaction.insert(SCHEMA_VERSIONS, arrow(SCHEMA_VERSIONS, [row]))

    def _sorting(self) -> bool:
        """Whether tables are to have sorting keys."""
        able = self._cluster.version >= _SORTING
        if self._settings.sorting is True and not able:
            version = ".".join(map(str, self._cluster.version))
            raise StoreError(
                f'sorting = true needs VAST 5.3.5, and this is {version}; leave it at "auto"'
            )
        return able and self._settings.sorting is not False
