"""Bodies that are longer than a value of VAST may be: they stand in parts, in their own table."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.tables.layout import PARTS
from tams_gateway_vast.transport.predicates import In

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction

WHOLE: Final = 100_000
"""So many bytes stand in a row itself: a value has at most 128 KiB."""

_PART: Final = 120_000

_Whole = tuple[bytes, bytes]
_decode: Final = msgspec.msgpack.Decoder(_Whole).decode


class Parts:
    """Collects the parts of the rows that a transaction writes."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, bytes]] = []

    def fit(
        self, body: bytes, fields: bytes = b""
    ) -> tuple[bytes | None, bytes | None, int | None]:
        """Return body, fields and id of the parts as they are to stand in a row."""
        if len(body) <= WHOLE and len(fields) <= WHOLE:
            return body, fields, None
        number = secrets.randbits(62)
        whole = msgspec.msgpack.encode((body, fields))
        for index, at in enumerate(range(0, len(whole), _PART)):
            self._rows.append((number, index, whole[at : at + _PART]))
        return None, None, number

    def rows(self) -> pa.Table | None:
        """Return what is to be inserted, None if nothing is."""
        if not self._rows:
            return None
        columns = [list(column) for column in zip(*self._rows, strict=True)]
        return pa.Table.from_arrays(
            [pa.array(column, one.type) for column, one in zip(columns, PARTS.schema, strict=True)],
            schema=PARTS.schema,
        )


def fetch(transaction: "Transaction", numbers: Sequence[int]) -> Mapping[int, _Whole]:
    """Return body and fields by the id of their parts. Raises `StoreError` if some are missing."""
    if not numbers:
        return {}
    found = transaction.select(PARTS, ("id", "part", "data"), [In("id", numbers)])
    pieces: dict[int, list[tuple[int, bytes]]] = {number: [] for number in numbers}
    columns = [found.column(name).to_pylist() for name in ("id", "part", "data")]
    for number, index, data in zip(*columns, strict=True):
        pieces[number].append((index, data))
    return {number: _joined(number, rows) for number, rows in pieces.items()}


def _joined(number: int, rows: list[tuple[int, bytes]]) -> _Whole:
    try:
        whole: _Whole = _decode(b"".join(data for _, data in sorted(rows)))
    except msgspec.DecodeError as error:
        raise StoreError(f"table parts: {number} is not whole: {error}") from error
    return whole


def delete(transaction: "Transaction", numbers: Iterable[int | None]) -> None:
    """Delete parts by their ids; None stands for none."""
    gone = [number for number in numbers if number is not None]
    if gone:
        found = transaction.select(PARTS, ("$row_id",), [In("id", gone)])
        transaction.delete(PARTS, [int(one) for one in found.column("$row_id").to_pylist()])
