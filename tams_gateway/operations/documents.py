"""Documents as they are shown: stored bytes, with the few members spliced in that move."""

import msgspec

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.timerange import EMPTY, TimeRange
from tams_gateway.storage.records import Record, Segment


class _Timed(msgspec.Struct):
    timerange: str


_timed = msgspec.json.Decoder(_Timed)


def flow_document(body: bytes, touched: int | None, timerange: TimeRange | None = None) -> bytes:
    """Return the document of a flow: its stored body, `segments_updated`, and its timerange."""
    more = ""
    if touched is not None:
        more = f',"segments_updated":"{date_time(touched)}"'
    if timerange is not None:
        more += f',"timerange":"{timerange}"'
    return body[:-1] + more.encode() + b"}" if more else body


def shown_flow(record: Record) -> bytes:
    """Return the document of a flow's record, as listings show it."""
    return flow_document(record.body, record.touched)


def json_list(documents: list[bytes]) -> bytes:
    """Return the JSON list of finished documents."""
    if not documents:
        return b"[]"
    # Brackets on the documents, since they would cost two more copies of a large page.
    bracketed = [b"[" + documents[0], *documents[1:]]
    bracketed[-1] += b"]"
    return b",".join(bracketed)


def segment_timerange(segment: Segment) -> TimeRange:
    """Return a segment's timerange with its marks, from its document."""
    return TimeRange.parse(_timed.decode(segment.body).timerange)


def extent_timerange(extent: tuple[Segment, Segment] | None) -> TimeRange:
    """Return the timerange from the first segment's start to the last one's end, with its mark.

    `()` without segments (R-FLW-18).
    """
    if extent is None:
        return EMPTY
    first, last = extent
    end = segment_timerange(last)
    return TimeRange(first.start_ns, end.end, True, end.includes_end)
