"""Segments as clients post them, and what is kept of them (R-SEG)."""

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.domain.body import (
    Body,
    Integer,
    Label,
    TimerangeText,
    TimestampText,
    UrlText,
)
from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.timerange import (
    MAX_NS,
    MIN_NS,
    Span,
    TimeRange,
    format_timestamp,
    parse_timestamp,
)


class PostedUrl(msgspec.Struct, frozen=True):
    """Where an external object can be read: an uncontrolled instance (R-SEG-22)."""

    url: UrlText
    label: Label


class SegmentPost(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One segment of a POST body, its form checked by type and the rest by `Posted`."""

    object_id: str
    timerange: TimerangeText
    init_object_id: str | UnsetType = UNSET
    ts_offset: TimestampText | UnsetType = UNSET
    object_timerange: TimerangeText | UnsetType = UNSET
    last_duration: TimestampText | UnsetType = UNSET
    sample_offset: Integer | UnsetType = UNSET
    sample_count: Integer | UnsetType = UNSET
    get_urls: tuple[PostedUrl, ...] | UnsetType = UNSET
    key_frame_count: Integer | UnsetType = UNSET


LONGEST_ID = 2000
"""How long an object id may be, in characters: every store takes that many."""

_one = Body(SegmentPost)
_many: Body[list[SegmentPost]] = Body(list[SegmentPost])


def parse_post(body: bytes) -> SegmentPost | list[SegmentPost]:
    """Read the body of POST segments: one, or a list of them (R-SEG-10, -12)."""
    if body.lstrip(b" \t\r\n")[:1] == b"[":
        many = _many.decode(body)
        if not many:
            raise Invalid.at("", "an empty list adds nothing; at least one segment is needed")
        return many
    return _one.decode(body)


class Posted(msgspec.Struct, frozen=True, gc=False):
    """A posted segment with its times as numbers: spans half-open, offset in nanoseconds.

    `on_object` is the segment on its object's timeline: `timerange - ts_offset` (R-SEG-24, -26).
    `object_timerange` is as given, None where the client leaves it to the server.
    """

    sent: SegmentPost
    timerange: TimeRange
    span: Span
    ts_offset: int
    on_object: TimeRange
    object_timerange: TimeRange | None


def check(sent: SegmentPost) -> Posted:
    """Check what the schema leaves to prose (R-SEG-17, -18); raises `Invalid`."""
    if not 0 < len(sent.object_id) <= LONGEST_ID:
        raise Invalid.at("/object_id", f"must have 1 to {LONGEST_ID} characters")
    if sent.init_object_id == "":
        raise Invalid.at("/init_object_id", "must not be empty")
    timerange, span = _bounded("/timerange", sent.timerange)
    if not timerange.includes_start:
        raise Invalid.at("/timerange", "the start of a segment is always inclusive")
    ts_offset = 0
    if not isinstance(sent.ts_offset, UnsetType):
        ts_offset = _nanoseconds("/ts_offset", sent.ts_offset)
    last_duration = sent.last_duration
    if last_duration is not UNSET and _nanoseconds("/last_duration", last_duration) < 0:
        raise Invalid.at("/last_duration", "must not be negative")
    object_timerange = None
    if not isinstance(sent.object_timerange, UnsetType):
        object_timerange, _ = _bounded("/object_timerange", sent.object_timerange)
    on_object = timerange
    if ts_offset:
        on_object = timerange.shift(-ts_offset)
        try:
            on_object.bounded_span()
        except ValueError as error:
            raise Invalid.at("/ts_offset", f"timerange - ts_offset: {error}") from error
    return Posted(sent, timerange, span, ts_offset, on_object, object_timerange)


def _bounded(pointer: str, text: str) -> tuple[TimeRange, Span]:
    try:
        timerange = TimeRange.parse(text)
        if timerange.instant_with_exclusive_mark:
            raise ValueError("an instant has no exclusive mark (R-TIME-07)")
        return timerange, timerange.bounded_span()
    except ValueError as error:
        raise Invalid.at(pointer, f"{text!r}: {error}") from error


def _nanoseconds(pointer: str, text: str) -> int:
    ns = parse_timestamp(text)
    if not MIN_NS <= ns <= MAX_NS:
        raise Invalid.at(pointer, f"{text!r} lies outside signed 64-bit nanoseconds")
    return ns


class SegmentDocument(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The stored document of a segment: what GET shows, less what is spliced in."""

    object_id: str
    timerange: str
    ts_offset: str | UnsetType = UNSET
    last_duration: str | UnsetType = UNSET
    sample_offset: int | UnsetType = UNSET
    sample_count: int | UnsetType = UNSET
    key_frame_count: int | UnsetType = UNSET


def document(posted: Posted, key_frame_count: int | None) -> SegmentDocument:
    """Return what is kept of a segment; the count of key frames is its object's."""
    sent = posted.sent
    last_duration = sent.last_duration
    if not isinstance(last_duration, UnsetType):
        last_duration = format_timestamp(parse_timestamp(last_duration))
    return SegmentDocument(
        object_id=sent.object_id,
        timerange=posted.timerange.short(),
        ts_offset=UNSET if sent.ts_offset is UNSET else format_timestamp(posted.ts_offset),
        last_duration=last_duration,
        sample_offset=sent.sample_offset,
        sample_count=sent.sample_count,
        key_frame_count=UNSET if key_frame_count is None else key_frame_count,
    )
