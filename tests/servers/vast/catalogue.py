"""Buckets, schemas, tables and their columns: values, each change of which makes a new one.

A transaction keeps its changes as functions from one `Database` to the next. So its own view, its
commit on top of what others have committed, and its rollback need no code of their own.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import pyarrow as pa

from tests.servers.vast.errors import Refused, bad, conflict, missing
from tests.servers.vast.rows import Rows

ROW_ID = "$row_id"


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


Change = Callable[[Database], Database]
Alter = Callable[[Table], Table]


def create_schema(path: Path, properties: str, replace: bool = False) -> Change:
    """Make a schema; its parent must be there. Raises 404 or 409."""

    def change(database: Database) -> Database:
        database.schema(path._replace(schema=path.schema.rpartition("/")[0]))
        if path in database.schemas and not replace:
            raise conflict(f"the schema {path.schema} exists", "SchemaAlreadyExists")
        return msgspec.structs.replace(database, schemas={**database.schemas, path: properties})

    return change


def drop_schema(path: Path) -> Change:
    """Drop a schema that is empty. Raises 404 or 409."""

    def change(database: Database) -> Database:
        database.schema(path)
        inner = path.schema + "/"
        if any(
            one.bucket == path.bucket
            and (one.schema == path.schema or one.schema.startswith(inner))
            for one in database.tables
        ) or any(
            one.bucket == path.bucket and one.schema.startswith(inner) for one in database.schemas
        ):
            raise conflict(f"the schema {path.schema} is not empty", "SchemaNotEmpty")
        schemas = {one: text for one, text in database.schemas.items() if one != path}
        return msgspec.structs.replace(database, schemas=schemas)

    return change


def rename_schema(path: Path, name: str) -> Change:
    """Rename a schema and all below it. Raises 404 or 409."""

    def change(database: Database) -> Database:
        database.schema(path)
        if path._replace(schema=name) in database.schemas:
            raise conflict(f"the schema {name} exists", "SchemaAlreadyExists")

        def moved(one: Path) -> Path:
            if one.bucket != path.bucket or f"{one.schema}/".find(f"{path.schema}/"):
                return one
            return one._replace(schema=name + one.schema[len(path.schema) :])

        return msgspec.structs.replace(
            database,
            schemas={moved(one): text for one, text in database.schemas.items()},
            tables={moved(one): table for one, table in database.tables.items()},
        )

    return change


def create_table(path: Path, table: Table, replace: bool = False) -> Change:
    """Make a table. Raises 404 or 409."""

    def change(database: Database) -> Database:
        database.schema(path._replace(table=""))
        if path in database.tables and not replace:
            raise conflict(f"the table {path.table} exists", "TableAlreadyExists")
        return msgspec.structs.replace(database, tables={**database.tables, path: table})

    return change


def drop_table(handle: int) -> Change:
    """Drop a table."""

    def change(database: Database) -> Database:
        path = database.path(handle)
        tables = {one: table for one, table in database.tables.items() if one != path}
        return msgspec.structs.replace(database, tables=tables)

    return change


def rename_table(handle: int, target: Path) -> Change:
    """Give a table another name, and perhaps another schema. Raises 404 or 409."""

    def change(database: Database) -> Database:
        path = database.path(handle)
        table = database.tables[path]
        return create_table(target, table)(drop_table(handle)(database))

    return change


def alter_table(path: Path, handle: int, alter: Alter) -> Change:
    """Change one table. `path` is where it probably is."""

    def change(database: Database) -> Database:
        where = path
        table = database.tables.get(path)
        if table is None or table.handle != handle:
            where = database.path(handle)
            table = database.tables[where]
        return msgspec.structs.replace(database, tables={**database.tables, where: alter(table)})

    return change


def add_columns(fields: list[Column]) -> Alter:
    """Add columns behind the others, null everywhere. Raises 409."""

    def alter(table: Table) -> Table:
        have = {column.field.name for column in table.columns}
        twice = [column.field.name for column in fields if column.field.name in have]
        if twice:
            raise conflict(f"the column {twice[0]} exists", "ColumnAlreadyExists")
        return msgspec.structs.replace(table, columns=(*table.columns, *fields))

    return alter


def drop_columns(numbers: set[int]) -> Alter:
    """Drop columns. Raises 400 for a column of the sorting key."""

    def alter(table: Table) -> Table:
        if numbers.intersection(table.sorting):
            raise bad("a column of the sorting key can't be dropped")
        kept = tuple(column for column in table.columns if column.number not in numbers)
        return msgspec.structs.replace(table, columns=kept)

    return alter


def rename_column(number: int, name: str) -> Alter:
    """Rename a column, which keeps its number. Raises 409."""

    def alter(table: Table) -> Table:
        if any(column.field.name == name and column.number != number for column in table.columns):
            raise conflict(f"the column {name} exists", "ColumnAlreadyExists")
        return msgspec.structs.replace(
            table,
            columns=tuple(
                Column(number, column.field.with_name(name)) if column.number == number else column
                for column in table.columns
            ),
        )

    return alter


def add_sorting_key(numbers: tuple[int, ...]) -> Alter:
    """Give a table a sorting key. Raises 400 where it has one."""

    def alter(table: Table) -> Table:
        if table.sorting:
            raise bad("the table has a sorting key")
        return msgspec.structs.replace(table, sorting=numbers)

    return alter


def set_projection(name: str, projection: Projection) -> Alter:
    """Add a projection. Raises 409."""

    def alter(table: Table) -> Table:
        if name in table.projections:
            raise conflict(f"the projection {name} exists", "ProjectionAlreadyExists")
        return msgspec.structs.replace(table, projections={**table.projections, name: projection})

    return alter


def drop_projection(name: str) -> Alter:
    """Drop a projection. Raises 404."""

    def alter(table: Table) -> Table:
        if name not in table.projections:
            raise missing(f"the projection {name}", "NoSuchProjection")
        kept = {one: value for one, value in table.projections.items() if one != name}
        return msgspec.structs.replace(table, projections=kept)

    return alter


def checked_sorting_key(
    columns: tuple[Column, ...], places: list[int], new: bool
) -> tuple[int, ...]:
    """Return the numbers of the columns at these places; raise as the version does."""
    if any(not 0 <= place < len(columns) for place in places):
        if new:
            raise bad("InvalidArgument: no such column in the sorting key")
        raise Refused(500, "InternalError", "We encountered an internal error.")
    return tuple(columns[place].number for place in places)
