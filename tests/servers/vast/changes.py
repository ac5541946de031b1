"""The changes of the catalogue, as functions from one state to the next.

A transaction keeps its changes. So its own view, its commit on top of what others have committed,
and its rollback need no code of their own.
"""

from collections.abc import Callable

import msgspec

from tests.servers.vast.catalogue import Column, Database, Path, Projection, Table
from tests.servers.vast.errors import Refused, bad, conflict, missing

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
