"""The calls on tables and their columns."""

from typing import Final

import pyarrow as pa

from tests.servers.vast import buffers, changes
from tests.servers.vast.buffers import Details
from tests.servers.vast.calls import Answer, Request, State, alter, call, page
from tests.servers.vast.catalogue import Column, Counters, Path, Table
from tests.servers.vast.errors import bad, conflict
from tests.servers.vast.rows import Rows

_LIMIT: Final = 3 << 20
"""Bytes of a list of columns at most."""

_UNSUPPORTED: Final = (
    pa.types.is_null,
    pa.types.is_dictionary,
    pa.types.is_union,
    pa.types.is_large_string,
    pa.types.is_large_binary,
    pa.types.is_large_list,
    pa.types.is_date64,
)


@call("GET", "table")
def list_tables(state: State, request: Request) -> Answer:
    """List the tables of a schema."""
    parent = request.schema
    with state.transaction(request) as transaction:
        database = state.transactions.view(transaction)
        database.schema(parent)
        found = [
            Details(
                *(path.table, "", table.handle),
                *(table.rows.count, table.rows.size(), bool(table.sorting)),
            )
            for path, table in sorted(database.tables.items())
            if path[:2] == parent[:2]
        ]
    some, headers = page(request, found, [one.name for one in found])
    return Answer(buffers.list_of_tables(parent.bucket, parent.schema, some), headers)


@call("POST", "table")
def create_table(state: State, request: Request) -> Answer:
    """Make a table, with a sorting key where headers name columns by their places."""
    path = request.table
    counters = Counters()
    columns = tuple(_columns(state, counters, request.body))
    places = _sorting_places(request)
    sorting = changes.checked_sorting_key(columns, places, _version(state) >= (5, 5))
    chosen = request.headers.get("use-external-row-ids-alloc") == "True"
    with state.transaction(request) as transaction:
        if path in state.transactions.view(transaction).tables:
            raise conflict(f"the table {path.table} exists", "TableAlreadyExists")
        table = Table(state.handle(), counters, columns, Rows(), sorting, chosen_ids=chosen)
        state.transactions.touch_names(transaction, [("table", path)])
        change = changes.create_table(path, table, state.last_wins)
        state.transactions.change(transaction, change)
    return Answer()


@call("PUT", "table")
def alter_table(state: State, request: Request) -> Answer:
    """Rename a table, or give it a sorting key."""
    path = request.table
    name = request.parameters.get("tabular-new-table-name")
    places = _sorting_places(request)
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        if places:
            new = _version(state) >= (5, 5)
            numbers = changes.checked_sorting_key(table.columns, places, new)
            alter(state, transaction, path, changes.add_sorting_key(numbers))
        if name:
            schema, _, own = name.rpartition("/")
            target = Path(path.bucket, schema, own)
            state.transactions.touch_names(transaction, [("table", path), ("table", target)])
            change = changes.rename_table(table.handle, target)
            state.transactions.change(transaction, change)
    return Answer()


@call("DELETE", "table")
def drop_table(state: State, request: Request) -> Answer:
    """Drop a table."""
    path = request.table
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        state.transactions.touch_names(transaction, [("table", path)])
        state.transactions.change(transaction, changes.drop_table(table.handle))
    return Answer()


@call("GET", "stats")
def statistics(state: State, request: Request) -> Answer:
    """Tell how large a table is, and where the endpoints are."""
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(request.table)
    addresses = state.addresses if state.switches().announced else []
    vips = (addresses[0], len(addresses)) if addresses else None
    chosen, is_sorted = table.chosen_ids, bool(table.sorting)
    rows, size = table.rows.count, table.rows.size()
    return Answer(buffers.statistics(rows, size, is_sorted, chosen, vips))


@call("GET", "column")
def list_columns(state: State, request: Request) -> Answer:
    """List the columns of a table."""
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(request.table)
    fields = [column.field for column in table.columns]
    if _version(state) >= (5, 5):
        fields = [
            field.with_metadata(_sort_metadata(table, column))
            for field, column in zip(fields, table.columns, strict=True)
        ]
    some, headers = page(request, fields, [field.name for field in fields])
    body = pa.schema(some).serialize().to_pybytes()
    if len(body) > _LIMIT and "tabular-only-column-names" not in request.headers:
        raise bad("list column result size is too long")
    return Answer(body, headers)


@call("GET", "sorted-columns")
def list_sorted_columns(state: State, request: Request) -> Answer:
    """List the columns of the sorting key; refused for a table that has none."""
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(request.table)
    if not table.sorting:
        raise bad("Listing sorted columns of a table without elysium enabled")
    by_number = {column.number: column.field for column in table.columns}
    fields = [by_number[number] for number in table.sorting]
    some, headers = page(request, fields, [field.name for field in fields])
    return Answer(pa.schema(some).serialize().to_pybytes(), headers)


@call("POST", "column")
def add_columns(state: State, request: Request) -> Answer:
    """Add columns to a table."""
    path = request.table
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        columns = _columns(state, table.counters, request.body)
        keys = [("column", table.handle, column.field.name) for column in columns]
        state.transactions.touch_names(transaction, keys)
        alter(state, transaction, path, changes.add_columns(columns))
    return Answer()


@call("DELETE", "column")
def drop_columns(state: State, request: Request) -> Answer:
    """Drop columns of a table."""
    path = request.table
    schema = pa.ipc.read_schema(pa.py_buffer(request.body))
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        numbers = {table.column(name).number for name in schema.names}
        state.transactions.touch_names(
            transaction, [("column", table.handle, number) for number in numbers]
        )
        alter(state, transaction, path, changes.drop_columns(numbers))
    return Answer()


@call("PUT", "column")
def rename_column(state: State, request: Request) -> Answer:
    """Rename a column."""
    path = request.table
    name = request.parameters["tabular-column-name"]
    new = request.parameters.get("tabular-new-column-name", name)
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        number = table.column(name).number
        keys = [("column", table.handle, number), ("column", table.handle, new)]
        state.transactions.touch_names(transaction, keys)
        alter(state, transaction, path, changes.rename_column(number, new))
    return Answer()


def _columns(state: State, counters: Counters, body: bytes) -> list[Column]:
    """Return the columns in a request; raises 400 for a type that VAST does not have."""
    columns = []
    for field in pa.ipc.read_schema(pa.py_buffer(body)):
        if any(test(field.type) for test in _UNSUPPORTED):
            raise bad(f"{field.type} is not supported", "TabularUnsupportedColumnType")
        if pa.types.is_timestamp(field.type) and _version(state) < (5, 4):
            field = field.with_type(pa.timestamp(field.type.unit))
        columns.append(Column(next(counters.columns), field.remove_metadata()))
    return columns


def _sorting_places(request: Request) -> list[int]:
    prefix = "tabular-sorted-column-"
    found = {
        int(name[len(prefix) :]): int(value)
        for name, value in request.headers.items()
        if name.startswith(prefix)
    }
    return [found[place] for place in sorted(found)]


def _sort_metadata(table: Table, column: Column) -> dict[str, str]:
    if column.number not in table.sorting:
        return {"VAST:sort_type": "Unsorted", "VAST:sort_index": "0"}
    return {
        "VAST:sort_type": "Sorted",
        "VAST:sort_index": str(table.sorting.index(column.number)),
    }


def _version(state: State) -> tuple[int, ...]:
    return tuple(map(int, state.switches().version.split(".")))
