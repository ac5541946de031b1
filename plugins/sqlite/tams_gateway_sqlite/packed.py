"""Whole records and segments as bytes that can be joined.

SQLite's module gives up the interpreter's lock at each row, so a page is fetched as one row: the
packed items behind one another, in the order of the inner SELECT, which are taken apart in one
go. Each is a MessagePack array.
"""

from typing import Final, TypeAlias

import msgspec

from tams_gateway.storage.packing import Fields
from tams_gateway.storage.records import Record, Segment
from tams_gateway_sqlite.schema import decode, encode

RECORDS: Final = (
    "count(*), CAST(group_concat(packed, '') AS BLOB), group_concat(ifnull(touched, ''))"
)
"""What joins the rows of a table of records, for `records`."""

SEGMENT: Final = "CAST(head || body AS BLOB)"
"""A segment of one row, for `segments`."""

SEGMENTS: Final = "count(*), CAST(group_concat(head || body, '') AS BLOB)"
"""What joins the rows of the segments, for `segments`."""

_Record: TypeAlias = tuple[str, int, bytes, bytes]
_Segment: TypeAlias = tuple[int, int, str, int, str | None, bytes]

_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(_Record).decode
_records = msgspec.msgpack.Decoder(list[_Record]).decode
_segments = msgspec.msgpack.Decoder(list[_Segment]).decode
_odd_ones = msgspec.msgpack.Decoder(list).decode


def pack_record(record_id: str, version: int, body: bytes, fields: bytes) -> bytes:
    """Return a record but for `touched`, which moves by itself; the fields come packed."""
    try:
        return _encode((record_id, version, body, fields))
    except UnicodeEncodeError:  # A lone surrogate, which stands as bytes.
        return _encode((encode(record_id), version, body, fields))


def record(packed: bytes, touched: int | None) -> Record:
    """Return the record of one row."""
    try:
        record_id, version, body, fields = _record(packed)
    except msgspec.ValidationError:
        return records(1, packed, "" if touched is None else str(touched))[0]
    return Record(record_id, version, body, Fields(fields), touched)


def records(count: int, packed: bytes, touched: str) -> list[Record]:
    """Return the records of as many rows, joined as `RECORDS`."""
    if not count:
        return []
    try:
        rows = _records(_array(count, packed))
    except msgspec.ValidationError:
        rows = [
            (_text(one), version, body, fields)
            for one, version, body, fields in _odd_ones(_array(count, packed))
        ]
    found = [Record(one, version, body, Fields(fields)) for one, version, body, fields in rows]
    if len(touched) < count:  # Nothing but commas.
        return found
    return [
        msgspec.structs.replace(one, touched=int(at)) if at else one
        for one, at in zip(found, touched.split(","), strict=True)
    ]


def pack_segment(segment: Segment) -> bytes:
    """Return the head of a segment: what stands before its body."""
    start, end, body, at = segment.start_ns, segment.end_ns, segment.body, segment.at_ns
    object_id, init = segment.object_id, segment.init_object_id
    try:
        packed = _encode((start, end, object_id, at, init, body))
    except UnicodeEncodeError:
        odd = None if init is None else encode(init)
        packed = _encode((start, end, encode(object_id), at, odd, body))
    return packed[: len(packed) - len(body)]


def segments(count: int, packed: bytes) -> list[Segment]:
    """Return the segments of as many rows, joined as `SEGMENTS`."""
    if not count:
        return []
    try:
        rows = _segments(_array(count, packed))
    except msgspec.ValidationError:
        rows = [
            (start, end, _text(one), at, None if init is None else _text(init), body)
            for start, end, one, at, init, body in _odd_ones(_array(count, packed))
        ]
    return [
        Segment(start, end, object_id, body, at, init)
        for start, end, object_id, at, init, body in rows
    ]


def _array(count: int, packed: bytes) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + packed


def _text(stored: str | bytes) -> str:
    return stored if isinstance(stored, str) else decode(stored)
