"""Flows: listed, read, created and replaced (R-FLW)."""

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from tams_gateway.auth.access import Permission
from tams_gateway.domain import technical
from tams_gateway.domain.body import MIME_PATTERN
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.flow import STATUSES, Flow, FlowPut, parse_put
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.domain.tags import auth_classes
from tams_gateway.domain.timerange import TimeRange
from tams_gateway.operations import relations
from tams_gateway.operations.deletions import new_life
from tams_gateway.operations.documents import extent_timerange, flow_document, shown_flow
from tams_gateway.operations.edit import Edit
from tams_gateway.operations.filters import collected_by, equal, tags
from tams_gateway.operations.flow_records import StoredFlow, read_life
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW
from tams_gateway.operations.listing import chosen_sort, list_records
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.operations.profiles import find_profile
from tams_gateway.operations.visibility import permitted, shown
from tams_gateway.storage.changes import ExpectTouched
from tams_gateway.storage.query import Condition, Segmentless, Sort, Touches
from tams_gateway.storage.records import Record

_SORTS = (
    ("created", Sort("created", descending=True)),
    ("metadata_updated", Sort("metadata_updated", descending=True)),
    ("label", Sort("label")),
)


def get_flows(gateway: Gateway, request: Request) -> Response:
    """Return a page of flows; a timerange asks for real segments (G-08: not just the span)."""
    params = Params(request.query)
    where = [
        *equal("source_id", params.uuid("source_id")),
        *_touching(params.timerange("timerange")),
        *equal("format", params.choice("format", technical.FORMATS)),
        *equal("codec", params.matching("codec", MIME_PATTERN, "a media type")),
        *equal("profile_id", params.uuid("profile_id")),
        *equal("label", params.text("label")),
        *equal("status", params.choice("status", STATUSES)),
        *equal("frame_width", params.integer("frame_width", 0)),
        *equal("frame_height", params.integer("frame_height", 0)),
        *equal("init_segments", params.boolean("init_segments")),
        *collected_by(gateway, request.access, FLOW, params),
        *tags(params),
    ]
    sort = chosen_sort(params, _SORTS)
    return list_records(gateway, request, params, FLOW, where, sort, show=shown_flow)


def _touching(timerange: TimeRange | None) -> tuple[Condition, ...]:
    """Return the filter of `timerange`: `_` is none, `()` asks for flows without content."""
    if timerange is None or (timerange.start is None and timerange.end is None):
        return ()
    return (Segmentless(),) if timerange.empty else (Touches(timerange.clamp()),)


def get_flow(gateway: Gateway, request: Request) -> Response:
    """Return one flow; its timerange only if asked for (R-FLW-17)."""
    flow_id = path_uuid(request.path["flowId"], "flow")
    record = gateway.metadata.get(FLOW, [flow_id]).get(flow_id)
    record = permitted(request.access, Permission.READ, record, f"flow {flow_id}")
    timerange = None
    if request.query:
        params = Params(request.query)
        within = params.timerange("timerange")
        if params.boolean("include_timerange"):
            timerange = _timerange(gateway, record, within)
    [record] = shown(gateway, request.access, FLOW, [record])
    return Response(body=flow_document(record.body, record.touched, timerange))


def _timerange(gateway: Gateway, record: Record, within: TimeRange | None) -> TimeRange:
    """Return the flow's timerange, cut to the query (R-FLW-18, G-07)."""
    life = read_life(record)
    if within is None:
        return extent_timerange(gateway.metadata.extent(record.id, life))
    if within.empty:
        return within
    extent = gateway.metadata.extent(record.id, life, within.clamp())
    return extent_timerange(extent).intersect(within)


def put_flow(gateway: Gateway, request: Request) -> Response:
    """Create a flow (201) or replace its metadata (204) (R-FLW-01 to -06)."""
    flow_id = path_uuid(request.path["flowId"], "flow")
    sent = parse_put(request.body, flow_id)
    edit = Edit(gateway, request)
    stored = edit.stored(flow_id)
    if not edit.access.everything:
        _check_access(edit, sent, stored)
    if stored is not None:
        stored.flow.check_writable()
    flow = described(gateway, sent, stored)
    if not edit.access.everything:
        before = stored.flow if stored else None
        flow = relations.as_seen(edit, before, flow, "/flow_collection")
    if stored is not None:
        _check_correction(edit, stored, flow)
    life = new_life(gateway, flow_id, edit.now_ns) if stored is None else stored.life
    relations.put_flow(edit, flow, life)
    edit.commit()
    if stored is not None:
        return Response(status=204)
    location = f"{request.base}/flows/{flow_id}"
    return Response(status=201, body=edit.made[flow_id], headers={"Location": location})


def _check_access(edit: Edit, sent: FlowPut, stored: StoredFlow | None) -> None:
    """Refuse a flow that the principal may not make or replace (R-AUTH-07).

    One that is hidden from it is refused as a new one, as far as the principal makes none.
    """
    flow_id, source_id, access = sent.common.id, sent.common.source_id, edit.access
    before = None if stored is None else auth_classes(stored.flow.tags)
    if before is None or not access.any(before):
        access.check_change(None, auth_classes(sent.common.tags))
    if before is not None:
        absent = NotFound(f"no flow {flow_id}")
        access.require(Permission.WRITE, before, absent, f"flow {flow_id}")
    if stored is None or stored.flow.source_id != source_id:
        source = edit.source(source_id)
        if source is not None:
            classes, absent = auth_classes(source.source.tags), NotFound(f"no source {source_id}")
            access.require(Permission.WRITE, classes, absent, f"source {source_id}")


def described(gateway: Gateway, sent: FlowPut, stored: StoredFlow | None) -> Flow:
    """Return the flow as the body describes it, with what the server owns kept from before."""
    before = stored.flow if stored else None
    if sent.technical is not None:
        if before is not None and before.profile_id and not sent.unlinks:
            raise Invalid.at(
                "/profile_id",
                f"the flow takes its technical part from profile {before.profile_id}: send that "
                'profile_id and no technical part or, to unlink it, profile_id ""',
            )
        flow = sent.flow(sent.technical)
    else:
        assert sent.profile_id is not None
        flow = sent.flow(find_profile(gateway, sent.profile_id).flow_metadata)
    if before is None:
        return flow
    return replace(
        flow,
        created=before.created,
        metadata_updated=before.metadata_updated,
        collected_by=before.collected_by,
        metadata_version=_or(flow.metadata_version, before.metadata_version),
        created_by=_or(flow.created_by, before.created_by),
        updated_by=_or(flow.updated_by, before.updated_by),
    )


def _or(sent: str | msgspec.UnsetType, before: str | msgspec.UnsetType) -> str | msgspec.UnsetType:
    return before if sent is UNSET else sent


def _check_correction(edit: Edit, stored: StoredFlow, flow: Flow) -> None:
    """Refuse what segments rely on once there are some (R-FLW-11, R-PRF-14, R-SEG-30).

    The commit fails if some are added meanwhile.
    """
    before = stored.flow
    changed = [
        name
        for name in ("source_id", "format", "codec", "container")
        if getattr(before, name) is not UNSET and getattr(before, name) != getattr(flow, name)
    ]
    if UNSET not in (before.generation, flow.generation) and before.generation != flow.generation:
        changed.append("generation")
    if before.uses_init_segments != flow.uses_init_segments:
        changed.append("essence_parameters/init_segments")
    if flow.profile_id is not UNSET and flow.profile_id != before.profile_id:
        changed.append("profile_id")
    if changed:
        if edit.gateway.metadata.extent(before.id, stored.life) is not None:
            raise Invalid.at(f"/{changed[0]}", "cannot change once the flow has segments")
        edit.add(ExpectTouched(FLOW, before.id, stored.touched))
