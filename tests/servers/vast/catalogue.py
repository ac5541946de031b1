"""Buckets, schemas, tables and their columns: values, each change of which makes a new one.

How one state follows from another is in `changes`.
"""

import itertools
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa

from tests.servers.vast.errors import conflict, missing
from tests.servers.vast.rows import Rows

ROW_ID: Final = "$row_id"

CHOSEN_ID: Final = "vastdb_rowid"
"""The column in which clients choose row ids; it is the row id, and not stored."""


class Path(NamedTuple):
    """The full name of a table, or of a schema (then `table` is empty)."""

    bucket: str
    schema: str
    table: str = ""


class Column(msgspec.Struct, frozen=True):
    """A column; its number stays when it is renamed."""

    number: int
    field: pa.Field


class Projection(msgspec.Struct, frozen=True):
    """A copy of some columns in another order."""

    handle: int
    columns: tuple[tuple[str, bool], ...]
    """The names, and whether it is sorted by each."""


class Counters:
    """The numbers that a table gives out; never given back, whatever becomes of the transaction."""

    def __init__(self) -> None:
        self.row = 0
        self.columns = itertools.count()


class Table(msgspec.Struct, frozen=True):
    """One state of a table."""

    handle: int
    counters: Counters
    columns: tuple[Column, ...]
    rows: Rows
    sorting: tuple[int, ...] = ()
    """The numbers of the columns of the sorting key."""
    projections: Mapping[str, Projection] = {}
    chosen_ids: bool = False
    """Whether clients choose the row ids, in a column `vastdb_rowid`."""

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([column.field for column in self.columns])

    @property
    def types(self) -> dict[int, pa.DataType]:
        """The types of the columns by number."""
        return {column.number: column.field.type for column in self.columns}

    @property
    def row_id(self) -> pa.Field:
        """The field of the row ids, of another type where the table is sorted."""
        return pa.field(ROW_ID, pa.decimal128(38, 0) if self.sorting else pa.uint64())

    def column(self, name: str) -> Column:
        """Return a column; raise 404 where there is none of this name."""
        for column in self.columns:
            if column.field.name == name:
                return column
        raise missing(f"the column {name}")


class Database(msgspec.Struct, frozen=True):
    """One state of everything. `schemas` have properties as text."""

    buckets: frozenset[str]
    schemas: Mapping[Path, str] = {}
    tables: Mapping[Path, Table] = {}

    def table(self, path: Path) -> Table:
        """Return a table; raise 404 where it is missing."""
        found = self.tables.get(path)
        if found is None:
            self.schema(path._replace(table=""))
            raise missing(f"the table {'/'.join(path)}", "NoSuchTable")
        return found

    def schema(self, path: Path) -> str:
        """Return the properties of a schema; raise 404 where it is missing."""
        if path.bucket not in self.buckets:
            raise missing(f"the bucket {path.bucket}", "NoSuchBucket")
        if path.schema and path not in self.schemas:
            raise missing(f"the schema {path.bucket}/{path.schema}", "NoSuchSchema")
        return self.schemas.get(path, "")

    def path(self, handle: int) -> Path:
        """Return where the table with this handle is; raise 409 where it has gone."""
        for path, table in self.tables.items():
            if table.handle == handle:
                return path
        raise conflict("the table was dropped")
