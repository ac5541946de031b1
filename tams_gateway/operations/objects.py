"""Objects as clients read them (R-OBJ)."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec.structs import replace

from tams_gateway.domain.errors import NotFound
from tams_gateway.domain.media_object import MediaObject
from tams_gateway.domain.timerange import MAX_NS, MIN_NS
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW
from tams_gateway.operations.media_objects import Stored
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.paging import Paging, encode_key, page_headers
from tams_gateway.operations.params import Params, TagFilter
from tams_gateway.operations.urls import UrlFilter, url_lists
from tams_gateway.storage.query import UseQuery
from tams_gateway.storage.records import Record, Use


class _Place(msgspec.Struct, array_like=True):
    flow_id: str
    life: Annotated[int, msgspec.Meta(ge=MIN_NS, le=MAX_NS)]


def get_object(gateway: Gateway, request: Request) -> Response:
    """Return an object with a page of the flows that refer to it (R-OBJ-01 to -04)."""
    stored = registered(gateway, request.path["objectId"])
    params = Params(request.query)
    paging = Paging.of(params, gateway.limits)
    wanted = UrlFilter.of(params)
    filters = params.tag_filters("flow_tag")
    place = paging.decode(_Place)
    after = None if place is None else Use(place.flow_id, place.life)
    flows, last = _references(gateway, stored.object, filters, after, paging.limit)
    next_key = None if last is None else encode_key(_Place(last.flow_id, last.life))
    return Response(
        body=_document(gateway, request, wanted, stored.object, flows),
        headers=page_headers(request, params, paging.limit, next_key),
    )


def registered(gateway: Gateway, object_id: str) -> Stored:
    """Return an object that clients may see; raises `NotFound` for any other (R-OBJ-02).

    One that only flows use whose deletion is going on is gone for clients already.
    """
    stored = media_objects.load(gateway, [object_id]).get(object_id)
    if stored is None or stored.object.state != "registered":
        raise NotFound(f"no object {object_id!r}")
    if next(_live_flows(gateway, stored.object, None), None) is None:
        raise NotFound(f"no object {object_id!r}")
    return stored


def _live_flows(
    gateway: Gateway, media_object: MediaObject, after: Use | None
) -> Iterator[tuple[Use, Record]]:
    """Yield the flows that refer to the object, those that are being deleted left out."""
    query = UseQuery(media_object.id, media_object.init, after, limit=100)
    while True:
        page = gateway.metadata.uses(query)
        records = gateway.metadata.get(FLOW, [use.flow_id for use in page.items])
        for use in page.items:
            record = records.get(use.flow_id)
            if record is not None and record.fields["life"] == use.life:
                yield use, record
        if not page.more:
            return
        query = replace(query, after=page.items[-1])


def _references(
    gateway: Gateway,
    media_object: MediaObject,
    filters: Sequence[TagFilter],
    after: Use | None,
    limit: int,
) -> tuple[list[str], Use | None]:
    """Return a full page of flow ids, and its last use if there are more."""
    found: list[Use] = []
    for use, record in _live_flows(gateway, media_object, after):
        if not all(one.holds(record.fields) for one in filters):
            continue
        if len(found) == limit:
            return [one.flow_id for one in found], found[-1]
        found.append(use)
    return [one.flow_id for one in found], None


def _document(
    gateway: Gateway,
    request: Request,
    wanted: UrlFilter,
    media_object: MediaObject,
    flows: list[str],
) -> bytes:
    document: dict[str, object] = {
        "id": media_object.id,
        "referenced_by_flows": flows,
        "first_referenced_by_flow": media_object.flow_id,
    }
    if not media_object.init:
        document["timerange"] = media_object.timerange
    if media_object.key_frame_count is not None:
        document["key_frame_count"] = media_object.key_frame_count
    init_object_id = media_object.init_object_id
    shown = [media_object]
    if init_object_id is not None:
        document["init_object"] = init = {"id": init_object_id}
        loaded = media_objects.load(gateway, [init_object_id])
        shown += [one.object for one in loaded.values()]
    if not wanted.wants_none:
        lists = [msgspec.Raw(one.encode()) for one in url_lists(gateway, request, wanted, shown)]
        document["get_urls"] = lists[0]
        if len(lists) > 1:
            document["init_object"] = {**init, "get_urls": lists[1]}
    return msgspec.json.encode(document)
