"""The calls on projections."""

import pyarrow as pa

from tests.servers.vast import buffers, changes
from tests.servers.vast.buffers import Details
from tests.servers.vast.calls import Answer, Request, State, alter, call, page
from tests.servers.vast.catalogue import Projection, Table
from tests.servers.vast.errors import missing


def _projection(table: Table, request: Request) -> Projection:
    name = request.parameters.get("name", "")
    if name not in table.projections:
        raise missing(f"the projection {name}", "NoSuchProjection")
    return table.projections[name]


@call("GET", "projection")
def list_projections(state: State, request: Request) -> Answer:
    """List the projections of a table."""
    path = request.table
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
    found = [
        Details(name, "", projection.handle, table.rows.count, table.rows.size())
        for name, projection in sorted(table.projections.items())
    ]
    some, headers = page(request, found, [one.name for one in found])
    body = buffers.list_of_projections(path.bucket, path.schema, path.table, some)
    return Answer(body, headers)


@call("POST", "projection")
def create_projection(state: State, request: Request) -> Answer:
    """Make a projection; its columns must be there."""
    path = request.table
    name = request.parameters["name"]
    projection = Projection(state.handle(), buffers.projection_columns(request.body))
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        for column, _ in projection.columns:
            table.column(column)
        state.transactions.touch_names(transaction, [("projection", table.handle, name)])
        alter(state, transaction, path, changes.set_projection(name, projection))
    return Answer()


@call("PUT", "projection")
def rename_projection(state: State, request: Request) -> Answer:
    """Rename a projection."""
    path = request.table
    name, new = request.parameters["name"], buffers.new_projection_name(request.body)
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        projection = _projection(table, request)
        keys = [("projection", table.handle, one) for one in (name, new)]
        state.transactions.touch_names(transaction, keys)
        alter(state, transaction, path, changes.drop_projection(name))
        alter(state, transaction, path, changes.set_projection(new, projection))
    return Answer()


@call("DELETE", "projection")
def drop_projection(state: State, request: Request) -> Answer:
    """Drop a projection."""
    path = request.table
    name = request.parameters["name"]
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        state.transactions.touch_names(transaction, [("projection", table.handle, name)])
        alter(state, transaction, path, changes.drop_projection(name))
    return Answer()


@call("GET", "projection-columns")
def list_projection_columns(state: State, request: Request) -> Answer:
    """List the columns of a projection."""
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(request.table)
    fields = [
        table.column(name).field.with_metadata(
            {"VAST:sort_type": "Sorted" if is_sorted else "Unsorted"}
        )
        for name, is_sorted in _projection(table, request).columns
    ]
    some, headers = page(request, fields, [field.name for field in fields])
    return Answer(pa.schema(some).serialize().to_pybytes(), headers)


@call("GET", "projection-stats")
def projection_statistics(state: State, request: Request) -> Answer:
    """Tell how large a projection is."""
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(request.table)
    numbers = {table.column(name).number for name, _ in _projection(table, request).columns}
    size = table.rows.size(numbers)
    return Answer(buffers.projection_statistics(table.rows.count, size))
