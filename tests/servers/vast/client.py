"""A session of the SDK for tests of the server: its single calls, on one table."""

import io
from typing import Final

import pyarrow as pa
from vastdb import _internal as sdk
from vastdb.config import BackoffConfig

from tests.servers.vast.server import Server

SCHEMA: Final = pa.schema([("a", pa.int64()), ("s", pa.string())])
"""The columns of the table `t` in the schema `s`."""

_IDS: Final = pa.schema([("$row_id", pa.uint64())])


class Client:
    """A session of the SDK with one table."""

    def __init__(self, server: Server, endpoint: int = 0, secret: str = "") -> None:
        self.bucket = server.bucket
        self.api = sdk.VastdbApi(
            server.access,
            secret or server.secret,
            endpoints=[server.endpoints[endpoint]],
            max_entities_per_page=1000,
            backoff_config=BackoffConfig(max_tries=1),
        )

    def begin(self) -> int:
        return int(self.api.begin_transaction().headers["tabular-txid"])

    def commit(self, txid: int) -> None:
        self.api.commit_transaction(txid)

    def create(self, *values: int) -> None:
        """Make the table, with rows 0, 1, ... that have these values."""
        txid = self.begin()
        self.api.create_schema(self.bucket, "s", txid)
        self.api.create_table(self.bucket, "s", "t", SCHEMA, txid)
        self.insert(txid, *values)
        self.commit(txid)

    def insert(self, txid: int, *values: int, text: str = "") -> list[int]:
        rows = pa.record_batch([list(values), [text] * len(values)], schema=SCHEMA)
        answer = self.api.insert_rows(self.bucket, "s", "t", serialized(rows), txid)
        (ids,) = pa.ipc.open_stream(answer.content)
        return ids.column(0).to_pylist()

    def update(self, txid: int, row: int, value: int) -> None:
        batch = pa.record_batch([[row], [value]], schema=_IDS.append(SCHEMA.field("a")))
        self.api.update_rows(self.bucket, "s", "t", serialized(batch), txid)

    def delete(self, txid: int, *rows: int) -> None:
        batch = pa.record_batch([list(rows)], schema=_IDS)
        self.api.delete_rows(self.bucket, "s", "t", serialized(batch), txid)

    def read(self, txid: int = 0) -> dict[int, int]:
        """Return the values of `a` by row id."""
        asked = sdk.build_query_data_request(pa.schema([*_IDS, *SCHEMA]), None, ["$row_id", "a"])
        found = self.select(asked, "t", txid)
        return dict(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def select(self, asked: sdk.QueryDataRequest, table: str, txid: int) -> pa.Table:
        answer = self.api.query_data(self.bucket, "s", table, asked.serialized, txid=txid)
        pages = sdk.parse_query_data_response(
            io.BytesIO(answer.content), asked.response_schema, parser=asked.response_parser
        )
        return pa.concat_tables([page for _, _, page in pages])

    def write(self, method: str, path: str, body: bytes) -> None:
        """Send a body that the SDK would not."""
        url = self.api._url(self.bucket, "s", path)
        self.api._request(method=method, url=url, data=body, headers={"tabular-txid": "0"})

    def rename(self, txid: int, name: str) -> None:
        self.api.alter_column(self.bucket, "s", "t", "s", txid, new_name=name)

    def columns(self, txid: int = 0) -> list[str]:
        found = self.api.list_all_columns(self.bucket, "s", "t", sorted_columns=False, txid=txid)
        return [field.name for field in found]


def serialized(batch: pa.RecordBatch) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()
