"""The answers that are flatbuffers, and the requests that are."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import flatbuffers
import msgspec
from vastdb.vast_flatbuf.tabular import (
    AlterProjectionTableRequest,
    CreateProjectionRequest,
    CreateSchemaRequest,
    GetProjectionTableStatsResponse,
    GetTableStatsResponse,
    ListProjectionsResponse,
    ListSchemasResponse,
    ListTablesResponse,
    ObjectDetails,
    VipRange,
)

_SORTED: Final = 1 << 63
"""The bit of a sorting score that says that sorting is done."""


class Details(msgspec.Struct, frozen=True):
    """What a list tells of a schema, table or projection."""

    name: str
    properties: str = ""
    handle: int = 0
    rows: int = 0
    size: int = 0
    sorted: bool = False


def list_of_schemas(bucket: str, found: Sequence[Details]) -> bytes:
    """Return the answer to a list of schemas."""
    builder = flatbuffers.Builder(256)
    name = builder.CreateString(bucket)
    vector = _vector(builder, found, ListSchemasResponse.StartSchemasVector)
    ListSchemasResponse.Start(builder)
    ListSchemasResponse.AddBucketName(builder, name)
    ListSchemasResponse.AddSchemas(builder, vector)
    return _finished(builder, ListSchemasResponse)


def list_of_tables(bucket: str, schema: str, found: Sequence[Details]) -> bytes:
    """Return the answer to a list of tables."""
    builder = flatbuffers.Builder(256)
    names = builder.CreateString(bucket), builder.CreateString(schema)
    vector = _vector(builder, found, ListTablesResponse.StartTablesVector)
    ListTablesResponse.Start(builder)
    ListTablesResponse.AddBucketName(builder, names[0])
    ListTablesResponse.AddSchemaName(builder, names[1])
    ListTablesResponse.AddTables(builder, vector)
    return _finished(builder, ListTablesResponse)


def list_of_projections(bucket: str, schema: str, table: str, found: Sequence[Details]) -> bytes:
    """Return the answer to a list of projections."""
    builder = flatbuffers.Builder(256)
    names = [builder.CreateString(name) for name in (bucket, schema, table)]
    vector = _vector(builder, found, ListProjectionsResponse.StartProjectionsVector)
    ListProjectionsResponse.Start(builder)
    ListProjectionsResponse.AddBucketName(builder, names[0])
    ListProjectionsResponse.AddSchemaName(builder, names[1])
    ListProjectionsResponse.AddTableName(builder, names[2])
    ListProjectionsResponse.AddProjections(builder, vector)
    return _finished(builder, ListProjectionsResponse)


def statistics(
    rows: int, size: int, sorted_table: bool, chosen_ids: bool, vips: tuple[str, int] | None
) -> bytes:
    """Return the statistics of a table; `vips` are the first address and how many there are."""
    builder = flatbuffers.Builder(128)
    kind = builder.CreateString("ip")
    ranges = []
    if vips is not None:
        first = builder.CreateString(vips[0])
        VipRange.Start(builder)
        VipRange.AddStartAddress(builder, first)
        VipRange.AddAddressCount(builder, vips[1])
        ranges.append(VipRange.End(builder))
    vector = _offsets(builder, ranges, GetTableStatsResponse.StartVipsVector)
    GetTableStatsResponse.Start(builder)
    GetTableStatsResponse.AddNumRows(builder, rows)
    GetTableStatsResponse.AddSizeInBytes(builder, size)
    GetTableStatsResponse.AddIsExternalRowidAlloc(builder, chosen_ids)
    GetTableStatsResponse.AddAddressType(builder, kind)
    GetTableStatsResponse.AddVips(builder, vector)
    GetTableStatsResponse.AddSortingKeyEnabled(builder, sorted_table)
    GetTableStatsResponse.AddSortingScore(builder, _score(sorted_table))
    return _finished(builder, GetTableStatsResponse)


def projection_statistics(rows: int, size: int) -> bytes:
    """Return the statistics of a projection, which is always up to date."""
    builder = flatbuffers.Builder(64)
    GetProjectionTableStatsResponse.Start(builder)
    GetProjectionTableStatsResponse.AddNumRows(builder, rows)
    GetProjectionTableStatsResponse.AddSizeInBytes(builder, size)
    GetProjectionTableStatsResponse.AddInitialSyncProgress(builder, 100)
    return _finished(builder, GetProjectionTableStatsResponse)


def properties_of(body: bytes) -> str:
    """Return the properties in a request that makes a schema."""
    request = CreateSchemaRequest.CreateSchemaRequest.GetRootAs(body)
    return (request.Properties() or b"").decode()


def projection_columns(body: bytes) -> tuple[tuple[str, bool], ...]:
    """Return the columns in a request that makes a projection, and whether each is sorted."""
    request = CreateProjectionRequest.CreateProjectionRequest.GetRootAs(body)
    columns = [request.Columns(i) for i in range(request.ColumnsLength())]
    return tuple((column.Name().decode(), bool(column.Type())) for column in columns)


def new_projection_name(body: bytes) -> str:
    """Return the name in a request that renames a projection."""
    request = AlterProjectionTableRequest.AlterProjectionTableRequest.GetRootAs(body)
    return (request.NewName() or b"").decode()


def _score(sorted_table: bool) -> int:
    # A signed slot, of which the client reads bit 63 after a shift that keeps the sign.
    return _SORTED - (1 << 64) if sorted_table else 0


def _vector(
    builder: flatbuffers.Builder,
    found: Sequence[Details],
    start: Callable[[flatbuffers.Builder, int], int],
) -> int:
    return _offsets(builder, [_details(builder, one) for one in found], start)


def _offsets(
    builder: flatbuffers.Builder,
    offsets: Sequence[int],
    start: Callable[[flatbuffers.Builder, int], int],
) -> int:
    start(builder, len(offsets))
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _details(builder: flatbuffers.Builder, one: Details) -> int:
    name = builder.CreateString(one.name)
    properties = builder.CreateString(one.properties)
    handle = builder.CreateString(str(one.handle))
    ObjectDetails.Start(builder)
    ObjectDetails.AddName(builder, name)
    ObjectDetails.AddProperties(builder, properties)
    ObjectDetails.AddHandle(builder, handle)
    ObjectDetails.AddNumRows(builder, one.rows)
    ObjectDetails.AddSizeInBytes(builder, one.size)
    ObjectDetails.AddSortingKeyEnabled(builder, one.sorted)
    ObjectDetails.AddSortingScore(builder, _score(one.sorted))
    return int(ObjectDetails.End(builder))


def _finished(builder: flatbuffers.Builder, module: Any) -> bytes:
    builder.Finish(module.End(builder))
    return bytes(builder.Output())
