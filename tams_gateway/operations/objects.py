"""Objects as clients read them (R-OBJ)."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from tams_gateway.auth.access import Access, Permission
from tams_gateway.domain.media_object import MediaObject
from tams_gateway.domain.timerange import MAX_NS, MIN_NS
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.paging import Paging, encode_key, page_headers
from tams_gateway.operations.params import Params, TagFilter
from tams_gateway.operations.references import live_flows, registered
from tams_gateway.operations.urls import UrlFilter, url_lists
from tams_gateway.operations.visibility import among, classes_of
from tams_gateway.storage.records import Use


class _Place(msgspec.Struct, array_like=True):
    flow_id: str
    life: Annotated[int, msgspec.Meta(ge=MIN_NS, le=MAX_NS)]


def get_object(gateway: Gateway, request: Request) -> Response:
    """Return an object with a page of the flows that refer to it (R-OBJ-01 to -04)."""
    access = request.access
    stored = registered(gateway, access, Permission.READ, request.path["objectId"])
    params = Params(request.query)
    paging = Paging.of(params, gateway.limits)
    wanted = UrlFilter.of(params)
    filters = params.tag_filters("flow_tag")
    place = paging.decode(_Place)
    after = None if place is None else Use(place.flow_id, place.life)
    flows, last = _references(gateway, access, stored.object, filters, after, paging.limit)
    next_key = None if last is None else encode_key(_Place(last.flow_id, last.life))
    return Response(
        body=_document(gateway, request, wanted, stored.object, flows),
        headers=page_headers(request, params, paging.limit, next_key),
    )


def _references(
    gateway: Gateway,
    access: Access,
    media_object: MediaObject,
    filters: Sequence[TagFilter],
    after: Use | None,
    limit: int,
) -> tuple[list[str], Use | None]:
    """Return a full page of ids of flows that may be read, and its last use if there are more."""
    found: list[Use] = []
    for use, record in live_flows(gateway, media_object, after):
        if not access.may(Permission.READ, classes_of(record)):
            continue
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
    }
    if among(gateway, request.access, FLOW, [media_object.flow_id]):
        document["first_referenced_by_flow"] = media_object.flow_id
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
