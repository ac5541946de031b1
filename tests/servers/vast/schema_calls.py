"""The calls on schemas."""

from tests.servers.vast import buffers, changes
from tests.servers.vast.buffers import Details
from tests.servers.vast.calls import Answer, Request, State, call, page
from tests.servers.vast.errors import conflict


@call("GET", "schema")
def list_schemas(state: State, request: Request) -> Answer:
    """List the schemas right below a bucket or schema."""
    parent = request.schema
    with state.transaction(request) as transaction:
        database = state.transactions.view(transaction)
        database.schema(parent)
        inner = f"{parent.schema}/" if parent.schema else ""
        found = [
            Details(path.schema[len(inner) :], properties)
            for path, properties in sorted(database.schemas.items())
            if path.bucket == parent.bucket
            if path.schema.startswith(inner) and "/" not in path.schema[len(inner) :]
        ]
    some, headers = page(request, found, [one.name for one in found])
    return Answer(buffers.list_of_schemas(parent.bucket, some), headers)


@call("POST", "schema")
def create_schema(state: State, request: Request) -> Answer:
    """Make a schema."""
    path = request.schema
    properties = buffers.properties_of(request.body)
    with state.transaction(request) as transaction:
        if path in state.transactions.view(transaction).schemas:
            raise conflict(f"the schema {path.schema} exists", "SchemaAlreadyExists")
        state.transactions.touch_names(transaction, [("schema", path)])
        change = changes.create_schema(path, properties, state.last_wins)
        state.transactions.change(transaction, change)
    return Answer()


@call("DELETE", "schema")
def drop_schema(state: State, request: Request) -> Answer:
    """Drop an empty schema."""
    with state.transaction(request) as transaction:
        state.transactions.view(transaction).schema(request.schema)
        state.transactions.touch_names(transaction, [("schema", request.schema)])
        state.transactions.change(transaction, changes.drop_schema(request.schema))
    return Answer()


@call("PUT", "schema")
def rename_schema(state: State, request: Request) -> Answer:
    """Rename a schema."""
    path = request.schema
    name = request.parameters.get("tabular-new-schema-name")
    with state.transaction(request) as transaction:
        state.transactions.view(transaction).schema(path)
        if name:
            keys = [("schema", path), ("schema", path._replace(schema=name))]
            state.transactions.touch_names(transaction, keys)
            state.transactions.change(transaction, changes.rename_schema(path, name))
    return Answer()
