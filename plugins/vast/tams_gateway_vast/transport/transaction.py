"""One transaction of a cluster: rows read and written, tables made and changed."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]
from vastdb import _internal, util  # type: ignore[import-untyped]
from vastdb._internal import VastdbApi  # type: ignore[import-untyped]

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.transport import predicates
from tams_gateway_vast.transport.border import Refused, Rival
from tams_gateway_vast.transport.catalogue import Catalogue
from tams_gateway_vast.transport.endpoints import Endpoint
from tams_gateway_vast.transport.session import Answer

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

T = TypeVar("T")

ROW_ID: Final[str] = _internal.INTERNAL_ROW_ID
"""The name of the column of row ids."""

_PAGE_ROWS: Final = 128 * 1024
"""Rows of one answer to a select; the next request asks for those behind them."""

_ALL: Final[int] = _internal.TABULAR_INVALID_ROW_ID
"""The row at which a select goes on that is done."""

_ONE_SPLIT: Final = (0, 1, 8)
"""The whole table in one answer; 8 row groups are what semi-sorted projections need."""


class Transaction(Catalogue):
    """Begun by `Cluster.begin`; all of its requests go through one endpoint.

    Everything raises the errors of `border`: `Rival` also where the transaction has been ended by
    somebody else, as the cluster does with one that is idle for long.
    """

    def __init__(
        self, endpoint: Endpoint, settings: Settings, sorted_tables: "AbstractSet[str]", txid: int
    ) -> None:
        self.txid = txid
        self.endpoint = endpoint
        self._settings = settings
        self._sorted = sorted_tables

    def select(
        self,
        table: Table,
        columns: Sequence[str],
        where: Sequence[predicates.Term] = (),
        *,
        limit: int | None = None,
    ) -> pa.Table:
        """Return the columns of the rows that fulfil all terms, at most `limit` of them.

        In no order; where there is a limit, any of them. `$row_id` may be among the columns. One
        request for each 131072 rows.
        """
        schema = table.schema.insert(0, self._row_id_field(table))
        request = predicates.request(schema, columns, where)
        pages: list[pa.Table] = []
        start, left = 0, _PAGE_ROWS if limit is None else limit
        while start != _ALL and left > 0:
            start, page = self._page(table, request, start, min(left, _PAGE_ROWS))
            pages.append(page)
            if limit is not None:
                left -= len(page)
        found = pa.concat_tables(pages) if pages else request.response_schema.empty_table()
        return found if limit is None else found.slice(0, limit)

    def insert(self, table: Table, rows: pa.Table) -> None:
        """Add rows, of any of the columns; one request for each 4 MiB. Raises `FullError`."""
        self._write("insert into", VastdbApi.insert_rows, table, rows)

    def update(self, table: Table, rows: pa.Table) -> None:
        """Change rows: `$row_id` is the first column, the others are those that change.

        Each row id at most once, in any order. Raises `FullError`.
        """
        ids = rows.column(0).cast(self._row_id_field(table).type)
        rows = rows.set_column(0, ROW_ID, ids).sort_by(ROW_ID)
        self._write("update of", VastdbApi.update_rows, table, rows)

    def delete(self, table: Table, row_ids: Sequence[int]) -> None:
        """Delete rows by their ids, in any order. Raises `FullError`."""
        field = self._row_id_field(table)
        ids = pa.array(sorted(set(row_ids)), field.type)
        rows = pa.table([ids], schema=pa.schema([field]))
        self._write("delete from", VastdbApi.delete_rows, table, rows)

    def alive(self) -> bool:
        """Ask whether the transaction is open; this also keeps it so."""
        try:
            self.endpoint.send("keep alive", lambda api: api.get_transaction(self.txid))
        except Refused:
            return False
        return True

    def _row_id_field(self, table: Table) -> pa.Field:
        if table.name in self._sorted:
            return _internal.INTERNAL_ROW_ID_SORTED_FIELD
        return _internal.INTERNAL_ROW_ID_FIELD

    def _page(
        self, table: Table, request: _internal.QueryDataRequest, start: int, limit: int
    ) -> tuple[int, pa.Table]:
        """Return where to go on, and the rows of one answer, of at most `limit` rows."""

        def call(api: VastdbApi) -> tuple[int, pa.Table]:
            answer: Answer = api.query_data(
                *self._path(table.name),
                request.serialized,
                _ONE_SPLIT,
                txid=self.txid,
                limit_rows=limit,
                sub_split_start_row_ids=[(0, start)],
            )
            return _parsed(answer.content, request.response_schema)

        return self._send(f"select from {table.name}", call)

    def _write(self, what: str, write: Callable[..., object], table: Table, rows: pa.Table) -> None:
        path = self._path(table.name)
        for body in self._slices(rows):
            self._send(f"{what} {table.name}", partial(_written, write, (*path, body, self.txid)))

    def _slices(self, rows: pa.Table) -> Iterator[pa.Buffer]:
        try:
            yield from util.iter_serialized_slices(rows, self._settings.batch_rows)
        except util.TooWideRow as error:
            raise StoreError("a row is larger than a request to VAST may be; shorten it") from error

    def _send(self, what: str, call: Callable[[VastdbApi], T]) -> T:
        try:
            return self.endpoint.send(what, call)
        except Refused as error:
            # The answer does not tell a wrong request from one of a transaction that has ended.
            if self.alive():
                raise
            raise Rival(f"{error}; the transaction had been ended by somebody else") from error


def _written(write: Callable[..., object], arguments: tuple[object, ...], api: VastdbApi) -> None:
    write(api, *arguments)


def _parsed(body: bytes, schema: pa.Schema) -> tuple[int, pa.Table]:
    pages = list(_internal.parse_query_data_response(pa.BufferReader(body), schema))
    if not pages:
        # Nothing found is told by a page without rows, so this is an answer that has been cut.
        raise EOFError("an answer without a page")
    return pages[-1][1], pa.concat_tables([page for _, _, page in pages])
