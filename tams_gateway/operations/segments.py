"""Segments as clients read them (R-SEG-01 to -09)."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from tams_gateway.auth.access import Permission, denied
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.domain.timerange import TimeRange
from tams_gateway.operations.documents import extent_timerange, json_list
from tams_gateway.operations.flow_records import read_life
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW, OBJECT
from tams_gateway.operations.media_objects import decode
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.paging import (
    Paging,
    SegmentPlace,
    encode_key,
    order_headers,
    page_headers,
)
from tams_gateway.operations.params import Params
from tams_gateway.operations.urls import UrlFilter, url_lists
from tams_gateway.operations.visibility import classes_of, hidden_backends
from tams_gateway.storage.capabilities import Joined, SupportsJoin
from tams_gateway.storage.query import Page, SegmentQuery
from tams_gateway.storage.records import Record, Segment


def get_segments(gateway: Gateway, request: Request) -> Response:
    """Return a page of a flow's segments; those of an unknown flow are none (R-SEG-01).

    So they are of one that the principal may do nothing with (R-AUTH-06).
    """
    flow_id = path_uuid(request.path["flowId"], "flow")
    params = Params(request.query)
    paging = Paging.of(params, gateway.limits)
    timerange = params.timerange("timerange")
    reverse = params.boolean("reverse_order") is True
    with_object_timerange = params.boolean("include_object_timerange") is True
    wanted = UrlFilter.of(params)
    place = paging.decode(SegmentPlace)
    query = SegmentQuery(
        flow_id,
        life=0,
        object_id=params.text("object_id"),
        reverse=reverse,
        after=None if place is None else place.end_ns,
        limit=paging.limit,
    )
    record = gateway.metadata.get(FLOW, [flow_id]).get(flow_id)
    if record is not None and not request.access.everything:
        classes = classes_of(record)
        if not request.access.any(classes):
            record = None
        elif not request.access.may(Permission.READ, classes):
            raise denied(Permission.READ, f"flow {flow_id}")
    listed: Joined | None = None
    if record is not None:
        query = replace(query, life=read_life(record))
        listed = _listed(gateway, request, wanted, timerange, query, with_object_timerange)
    next_key = encode_key(SegmentPlace(listed.last.end_ns)) if listed and listed.more else None
    headers = page_headers(
        request,
        params,
        paging.limit,
        next_key,
        {
            **order_headers(listed.count if listed else 0, reverse),
            "X-Paging-Timerange": str(_timerange(listed, reverse)),
        },
    )
    return Response(body=listed.bodies if listed else b"[]", headers=headers)


def touching(gateway: Gateway, timerange: TimeRange | None, query: SegmentQuery) -> Page[Segment]:
    """Return those segments of a page that a timerange touches (None: all of them)."""
    within = _within(timerange, query)
    return Page([], False) if within is None else gateway.metadata.segments(within)


def _within(timerange: TimeRange | None, query: SegmentQuery) -> SegmentQuery | None:
    """Return the query within a timerange; None if that is empty."""
    if timerange is None:
        return query
    return None if timerange.empty else replace(query, span=timerange.clamp())


def _listed(
    gateway: Gateway,
    request: Request,
    wanted: UrlFilter,
    timerange: TimeRange | None,
    query: SegmentQuery,
    with_object_timerange: bool,
) -> Joined | None:
    """Return a page of documents, joined by the store where they are just what it keeps."""
    store = gateway.metadata
    if wanted.wants_none and not with_object_timerange and isinstance(store, SupportsJoin):
        within = _within(timerange, query)
        joined = None if within is None else store.joined(within)
        if joined is not None:
            return joined
    page = touching(gateway, timerange, query)
    if not page.items:
        return None
    documents = segment_documents(gateway, request, wanted, page.items, with_object_timerange)
    ends = page.items[0], page.items[-1]
    return Joined(json_list(documents), len(page.items), *ends, page.more)


def _timerange(listed: Joined | None, reverse: bool) -> TimeRange:
    """Return the timerange that the page spans (R-PAGE-08)."""
    if listed is None:
        return extent_timerange(None)
    ends = listed.first, listed.last
    return extent_timerange(ends[::-1] if reverse else ends)


def segment_documents(
    gateway: Gateway,
    request: Request,
    wanted: UrlFilter,
    segments: Sequence[Segment],
    with_object_timerange: bool,
) -> list[bytes]:
    """Return the segments' documents, with what their objects own spliced in.

    Of the request only who asks counts, and under which base URL.
    """
    if wanted.wants_none and not with_object_timerange:
        return [shown_segment(segment) for segment in segments]
    init_ids = {
        segment.object_id: segment.init_object_id
        for segment in segments
        if segment.init_object_id is not None
    }
    ids = {segment.object_id for segment in segments}.union(init_ids.values())
    records = gateway.metadata.get(OBJECT, list(ids))
    # All bytes that the ending of an object's segments is made of.
    sources = {object_id: record.body for object_id, record in records.items()}
    for object_id, init_id in init_ids.items():
        if object_id in records and init_id in records:
            sources[object_id] = records[object_id].body + records[init_id].body
    hidden = hidden_backends(gateway, request.access)
    way = (wanted, request.base, with_object_timerange, hidden)
    made = gateway.recent.made(way, gateway.now_ns())
    new = [object_id for object_id, source in sources.items() if source not in made]
    if new:
        shown = {one: records[one] for one in (*new, *init_ids.values()) if one in records}
        endings = _endings(gateway, request, wanted, shown, with_object_timerange)
        made.update((sources[object_id], endings[object_id]) for object_id in new)
    return [
        segment.body[:-1] + made[sources[segment.object_id]]
        if segment.object_id in sources
        else shown_segment(segment)
        for segment in segments
    ]


def _endings(
    gateway: Gateway,
    request: Request,
    wanted: UrlFilter,
    records: Mapping[str, Record],
    with_object_timerange: bool,
) -> dict[str, bytes]:
    """Return for each object how the documents of its segments end."""
    objects = {object_id: decode(record.body) for object_id, record in records.items()}
    urls: dict[str, str] = {}
    if not wanted.wants_none:
        made = url_lists(gateway, request, wanted, list(objects.values()))
        urls = dict(zip(objects, made, strict=True))
    return {
        object_id: _ending(
            one.init_object_id,
            urls.get(one.init_object_id or ""),
            urls.get(object_id),
            one.timerange if with_object_timerange else None,
        )
        for object_id, one in objects.items()
    }


def _ending(
    init_object_id: str | None = None,
    init_urls: str | None = None,
    urls: str | None = None,
    object_timerange: str | None = None,
) -> bytes:
    """Return what follows the stored part of a segment's document."""
    more = ""
    if object_timerange is not None:
        more += f',"object_timerange":"{object_timerange}"'
    if init_object_id is not None:
        name = msgspec.json.encode(init_object_id).decode()
        rest = "" if init_urls is None else f',"get_urls":{init_urls}'
        more += f',"init_object":{{"object_id":{name}{rest}}}'
    if urls is not None:
        more += f',"get_urls":{urls}'
    return more.encode() + b"}"


def shown_segment(segment: Segment) -> bytes:
    """Return a segment's document without URLs, as events and URL-less listings show it."""
    if segment.init_object_id is None:
        return segment.body
    return segment.body[:-1] + _ending(segment.init_object_id)


class _InitObject(msgspec.Struct):
    object_id: str


class _Shown(msgspec.Struct):
    object_id: str
    init_object: _InitObject | None = None


_shown = msgspec.json.Decoder(_Shown)


def unshown_segment(document: bytes) -> Segment:
    """Return the segment whose document without URLs this is; its place in time is left out."""
    found = _shown.decode(document)
    init_object_id = None if found.init_object is None else found.init_object.object_id
    body = document
    if init_object_id is not None:
        body = document.removesuffix(_ending(init_object_id)) + b"}"
    return Segment(0, 0, found.object_id, body, 0, init_object_id)
