"""The part of a transaction that makes, changes and lists schema, tables and projections."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
from vastdb._internal import TableInfo, VastdbApi  # type: ignore[import-untyped]

from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.transport.border import Absent

T = TypeVar("T")

Page: TypeAlias = tuple[Sequence[T], int, bool]
"""Items of a list, the key to go on behind them, and whether there are more."""


class TableStats(msgspec.Struct, frozen=True):
    """What the cluster says of a table or a projection; `rows` and `bytes` lag behind."""

    name: str
    rows: int
    bytes: int
    sorted: bool
    """Whether it has a sorting key."""
    sorting_done: bool
    sorting_score: int


class Catalogue(ABC):
    """Schema, tables and projections as the transaction sees them. Raises the errors of `border`.

    A name that another transaction changes as well is a `Rival`.
    """

    txid: int
    _settings: Settings

    @abstractmethod
    def _send(self, what: str, call: Callable[[VastdbApi], T]) -> T:
        """Return what a call returns."""

    def create_schema(self) -> None:
        """Make the schema of the settings, unless it is there. Raises `Absent` for the bucket."""
        bucket, schema = self._settings.bucket, self._settings.schema

        def call(api: VastdbApi) -> None:
            _, found, *_ = api.list_schemas(
                bucket, txid=self.txid, name_prefix=schema, exact_match=True
            )
            if not found:
                api.create_schema(bucket, schema, self.txid)

        self._send(f"make schema {self._settings.place}", call)

    def drop_schema(self) -> None:
        """Drop the schema, which must be empty."""
        path = self._settings.bucket, self._settings.schema
        self._send(
            f"drop schema {self._settings.place}", lambda api: api.drop_schema(*path, self.txid)
        )

    def tables(self) -> dict[str, bool]:
        """Return the names of all tables, and of each whether it has a sorting key.

        There are none where there is no schema.
        """
        return {one.name: one.sorted for one in self.stats()}

    def stats(self) -> Sequence[TableStats]:
        """Return what the cluster says of all tables; nothing where there is no schema."""

        def page(api: VastdbApi, key: int) -> Page[TableStats]:
            _, _, found, key, more, _ = api.list_tables(
                self._settings.bucket,
                self._settings.schema,
                self.txid,
                next_key=key,
                include_list_stats=True,
            )
            return [_stats(one) for one in found], key, more

        try:
            return list(self._pages("list tables", page))
        except Absent:
            return []

    def create_table(self, table: Table, sorting: bool) -> None:
        """Make a table, with its sorting key if `sorting` and it has one."""
        key = list(table.sorted_by) if sorting else []
        self._send(
            f"make table {table.name}",
            lambda api: api.create_table(
                *self._path(table.name), table.schema, self.txid, sorting_key=key
            ),
        )

    def drop_table(self, table: Table) -> None:
        """Drop a table with all of its rows."""
        self._send(
            f"drop table {table.name}",
            lambda api: api.drop_table(*self._path(table.name), self.txid),
        )

    def columns(self, table: Table) -> pa.Schema:
        """Return the columns that a table has."""
        return self._columns(table.name)

    def column_names(self, table_name: str) -> list[str]:
        """Return the names of the columns of any table, also of one that is none of ours."""
        return list(self._columns(table_name).names)

    def add_columns(self, table: Table, columns: pa.Schema) -> None:
        """Add columns to a table; its rows have nothing in them."""
        self._send(
            f"add columns to {table.name}",
            lambda api: api.add_columns(*self._path(table.name), columns, self.txid),
        )

    def rename_column(self, table: Table, old: str, new: str) -> None:
        """Rename a column."""
        self._send(
            f"rename column of {table.name}",
            lambda api: api.alter_column(*self._path(table.name), old, self.txid, new_name=new),
        )

    def projections(self, table: Table) -> Sequence[TableStats]:
        """Return what the cluster says of the projections of a table."""

        def page(api: VastdbApi, key: int) -> Page[TableStats]:
            *_, found, key, more, _ = api.list_projections(
                *self._path(table.name), self.txid, next_key=key, include_list_stats=True
            )
            return [_stats(one) for one in found], key, more

        return list(self._pages(f"list projections of {table.name}", page))

    def create_projection(
        self, table: Table, name: str, sorted_by: Sequence[str], others: Sequence[str]
    ) -> None:
        """Make a copy of some columns that the cluster keeps sorted by `sorted_by`."""
        columns = [*((one, "Sorted") for one in sorted_by), *((one, "Unsorted") for one in others)]
        self._send(
            f"make projection {name} of {table.name}",
            lambda api: api.create_projection(*self._path(table.name), name, columns, self.txid),
        )

    def drop_projection(self, table: Table, name: str) -> None:
        """Drop a projection; the table stays as it is."""
        self._send(
            f"drop projection {name} of {table.name}",
            lambda api: api.drop_projection(*self._path(table.name), name, self.txid),
        )

    def _columns(self, table: str) -> pa.Schema:
        found: pa.Schema = self._send(
            f"list columns of {table}",
            lambda api: api.list_all_columns(
                *self._path(table), sorted_columns=False, txid=self.txid
            ),
        )
        return pa.schema([field.remove_metadata() for field in found])

    def _path(self, table: str) -> tuple[str, str, str]:
        return self._settings.bucket, self._settings.schema, table

    def _pages(self, what: str, page: Callable[[VastdbApi, int], Page[T]]) -> Iterator[T]:
        def call(api: VastdbApi) -> Page[T]:
            return page(api, key)

        key, more = 0, True
        while more:
            items, key, more = self._send(what, call)
            yield from items


def _stats(found: TableInfo) -> TableStats:
    return TableStats(
        name=found.name,
        rows=found.num_rows,
        bytes=found.size_in_bytes,
        sorted=bool(found.sorting_key_enabled),
        sorting_done=found.sorting_done,
        sorting_score=found.sorting_score,
    )
