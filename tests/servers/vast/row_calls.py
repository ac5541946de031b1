"""The calls on rows: insert, update, delete, select."""

from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.servers.vast import changes, relation, selects
from tests.servers.vast.calls import Answer, Request, State, call
from tests.servers.vast.catalogue import CHOSEN_ID, ROW_ID, Projection, Table
from tests.servers.vast.errors import bad, conflict, missing

_VALUE: Final = 128 << 10
"""Bytes of one value at most."""


@call("POST", "rows")
def insert(state: State, request: Request) -> Answer:
    """Insert rows, and answer their ids."""
    batch = _batch(request)
    path = request.table
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        columns = _values(table, batch)
        ids, order = _new_ids(table, batch)
        if CHOSEN_ID in batch.schema.names:
            if table.rows.has(ids):
                raise conflict("a row with one of these ids is there")
            state.transactions.touch_rows(transaction, _keys(table, ids))
        if order is not None:
            columns = {number: values.take(pa.array(order)) for number, values in columns.items()}
        chosen = table.chosen_ids or CHOSEN_ID in batch.schema.names

        def insert(table: Table) -> Table:
            # Where conflicts go unseen, another may have put a row at a chosen id meanwhile.
            before = table.rows.delete(ids) if chosen else table.rows
            rows = before.insert(ids, columns, table.types)
            return msgspec.structs.replace(table, rows=rows, chosen_ids=chosen)

        if len(ids):
            change = changes.alter_table(path, table.handle, insert)
            state.transactions.change(transaction, change)
    told = ids if order is None else ids[np.argsort(order)]
    return Answer(_id_batch(table, told), rows=len(ids))


@call("PUT", "rows")
def update(state: State, request: Request) -> Answer:
    """Change columns of rows; rows that are not there are passed over."""
    batch = _batch(request)
    path = request.table
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        ids = _row_ids(batch)
        columns = _values(table, batch)
        if set(columns).intersection(table.sorting) or CHOSEN_ID in batch.schema.names:
            raise bad("a column of the sorting key, or a row id, can't be updated")
        state.transactions.touch_rows(transaction, _keys(table, ids))

        def update(table: Table) -> Table:
            rows = table.rows.update(ids, columns, table.types)
            return msgspec.structs.replace(table, rows=rows)

        change = changes.alter_table(path, table.handle, update)
        state.transactions.change(transaction, change)
    return Answer(rows=len(ids))


@call("DELETE", "rows")
def delete(state: State, request: Request) -> Answer:
    """Delete rows; rows that are not there are passed over."""
    batch = _batch(request)
    path = request.table
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(path)
        ids = _row_ids(batch)
        state.transactions.touch_rows(transaction, _keys(table, ids))

        def delete(table: Table) -> Table:
            return msgspec.structs.replace(table, rows=table.rows.delete(ids))

        change = changes.alter_table(path, table.handle, delete)
        state.transactions.change(transaction, change)
    return Answer(rows=len(ids))


@call("GET", "data")
def select(state: State, request: Request) -> Answer:
    """Answer the rows that a request asks for, in pages."""
    try:
        wanted = relation.parse(request.body)
    except ValueError as error:
        raise bad(str(error)) from error
    asked = selects.ask(request.headers)
    with state.transaction(request) as transaction:
        table = state.transactions.view(transaction).table(request.table)
    projection = _projection(table, request, wanted)
    return Answer(selects.pages(table, wanted, asked, projection))


def _batch(request: Request) -> pa.RecordBatch:
    """Return the rows in a request; raises 400 for a value that is too long."""
    try:
        batches = list(pa.ipc.open_stream(request.body))
    except pa.ArrowInvalid as error:
        raise bad(str(error)) from error
    if len(batches) != 1:
        raise bad("a request has one batch of rows")
    batch = batches[0]
    for values in batch.columns:
        if values.nbytes > _VALUE and _longest(values) > _VALUE:
            raise bad("a value is longer than 128 KiB")
    return batch


def _longest(values: pa.Array) -> int:
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        return pc.max(pc.binary_length(values)).as_py() or 0
    return 0


def _values(table: Table, batch: pa.RecordBatch) -> dict[int, pa.Array]:
    """Return the columns of a batch by number; raises 400 where they don't fit the table."""
    columns = {column.field.name: column for column in table.columns}
    found = {}
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if name in (ROW_ID, CHOSEN_ID):
            continue
        column = columns.get(name)
        if column is None:
            raise bad(f"there is no column {name}", "TabularMismatchColumnName")
        kind = column.field.type
        if values.type != kind:
            # A table of an older version has lost the time zones of its columns.
            if not pa.types.is_timestamp(kind) or kind.unit != getattr(values.type, "unit", ""):
                text = f"{name} is {kind}, not {values.type}"
                raise bad(text, "TabularMismatchColumnType")
            values = values.cast(kind)
        found[column.number] = values
    return found


def _new_ids(table: Table, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ascending ids of new rows, and the order that they bring the rows into."""
    if CHOSEN_ID not in batch.schema.names:
        if table.chosen_ids:
            raise bad(f"the row ids of this table are chosen, in {CHOSEN_ID}")
        first = table.counters.row
        table.counters.row += len(batch) if batch.num_columns else 0
        return np.arange(first, table.counters.row, dtype=np.uint64), None
    if table.counters.row:
        raise bad("the row ids of this table are not chosen")
    ids = batch[CHOSEN_ID].to_numpy(zero_copy_only=False).astype(np.uint64)
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    if (ids[:-1] == ids[1:]).any():
        raise bad("a row id is there twice")
    return ids, order


def _row_ids(batch: pa.RecordBatch) -> np.ndarray:
    """Return the ids of the rows to change; raises 400 where they don't ascend."""
    if not batch.num_columns or batch.schema.names[0] != ROW_ID:
        raise bad(f"the first column is {ROW_ID}")
    column = batch.column(0)
    if column.type != pa.uint64():
        column = column.cast(pa.uint64())
    ids = column.to_numpy(zero_copy_only=False)
    if not (ids[:-1] < ids[1:]).all():
        raise bad("Found duplicate row ids or not in ascending order")
    return ids


def _keys(table: Table, ids: np.ndarray) -> list[tuple[str, int, int]]:
    return [("row", table.handle, number) for number in ids.tolist()]


def _id_batch(table: Table, ids: np.ndarray) -> bytes:
    values = pa.array(ids, pa.uint64())
    if table.row_id.type != pa.uint64():
        values = values.cast(table.row_id.type)
    batch = pa.RecordBatch.from_arrays([values], schema=pa.schema([table.row_id]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _projection(table: Table, request: Request, wanted: relation.Relation) -> Projection | None:
    """Return the projection that is named, or one that is sorted by a column that is filtered."""
    name = request.parameters.get("name")
    if name is not None:
        if name not in table.projections:
            raise missing(f"the projection {name}", "NoSuchProjection")
        return table.projections[name]
    if request.headers.get("tabular-enable-sorted-projections") != "True":
        return None
    names = set(wanted.schema.names)
    for projection in table.projections.values():
        columns = [name for name, _ in projection.columns]
        if columns[0] in relation.bounds(wanted) and names.issubset(columns):
            return projection
    return None
