"""Deletion of flows and of their segments, at once or in the background (R-FLW-23, R-SEG-34).

A flow vanishes in one `apply`, with a deletion request for its life in the same one; then its
segments go in steps. So no segment can slip in unseen, and a crash leaves the rest to the runner.
What is small is done before the answer (204), the rest by the runner (202).
"""

from contextlib import suppress

import msgspec
from msgspec.structs import replace

from tams_gateway.auth.access import Permission
from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.deletion_request import DeletionRequest, DeletionTask
from tams_gateway.domain.flow import Flow
from tams_gateway.domain.identifiers import new_uuid, path_uuid
from tams_gateway.domain.tags import AUTH_CLASSES, auth_classes
from tams_gateway.domain.timerange import EMPTY, EVERYTHING, SECOND, Span, TimeRange
from tams_gateway.operations import relations
from tams_gateway.operations.documents import extent_timerange
from tams_gateway.operations.edit import Edit
from tams_gateway.operations.flow_records import StoredFlow
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import DELETION_REQUEST, FLOW
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.operations.releases import release
from tams_gateway.operations.segments import touching
from tams_gateway.storage.changes import (
    ABSENT,
    AddSegments,
    Change,
    Delete,
    DropSegments,
    ExpectTouched,
    Put,
)
from tams_gateway.storage.errors import ConflictError, StoreError
from tams_gateway.storage.query import Equal, Present, Query, SegmentQuery, Sort
from tams_gateway.storage.records import Record, Segment, Use, Value

_PORTION = 50
"""How many segments go in one `apply`, or some times as many: writers wait while it lasts."""

_AT_ONCE = 2
"""Portions of an `apply` of a request, which somebody waits for."""

_EXACT_TRIES = 20

_GRACE_NS = 30 * SECOND
"""After this long, what a request had begun to delete itself is the runner's: it has died."""

_task = msgspec.json.Decoder(DeletionTask)


def read_task(record: Record) -> DeletionTask:
    """Decode the record of a deletion request."""
    return _task.decode(record.body)


def put_task(task: DeletionTask, due_ns: int | None, expect: int) -> Put:
    """Return the change that stores a request; `due_ns` None says that it is done."""
    fields: dict[str, Value] = {
        "created": task.created_ns,
        "flow_id": task.document.flow_id,
        AUTH_CLASSES: frozenset(task.auth_classes),
    }
    if due_ns is not None:
        fields["due"] = due_ns
        if task.document.delete_flow:
            fields["life"] = task.life
    if task.expiry_ns is not None:
        fields["expiry"] = task.expiry_ns
    body = msgspec.json.encode(task)
    return Put(DELETION_REQUEST, task.document.id, body, fields, expect)


def new_life(gateway: Gateway, flow_id: str, now_ns: int) -> int:
    """Return the life of a new flow of this id: one that no earlier flow of the id had.

    It is the time, which no earlier life can be. Should the clock have been set back, it is one
    more than the latest life whose segments are still being deleted.
    """
    query = Query(
        DELETION_REQUEST,
        (Equal("flow_id", flow_id), Present("life")),
        Sort("life", descending=True),
        limit=1,
    )
    going = [record.fields["life"] for record in gateway.metadata.find(query).items]
    return max([now_ns, *(life + 1 for life in going if isinstance(life, int))])


def delete_flow(gateway: Gateway, request: Request) -> Response:
    """Delete a flow: 204, or 202 with a deletion request where it has many segments."""
    flow_id = path_uuid(request.path["flowId"], "flow")
    for _ in range(_EXACT_TRIES):
        with suppress(ConflictError):
            return _delete_flow(gateway, request, flow_id, exactly=True)
    return _delete_flow(gateway, request, flow_id, exactly=False)


def _delete_flow(gateway: Gateway, request: Request, flow_id: str, *, exactly: bool) -> Response:
    """Delete the flow as it is read; `exactly` fails if segments come or go meanwhile.

    Then the event names the timerange of all that goes. A flow that is written to without a
    pause is deleted all the same: the event then lacks the last segments, which go as well.
    """
    edit = Edit(gateway, request)
    stored = edit.existing(flow_id, Permission.DELETE)
    stored.flow.check_writable()
    if exactly:
        edit.add(ExpectTouched(FLOW, flow_id, stored.touched))
    few = _is_few(gateway, stored)
    task = _new_task(edit, stored, EVERYTHING, None, delete_flow=True)
    extent = gateway.metadata.extent(flow_id, stored.life)
    if extent is not None:
        body = {"flow_id": flow_id, "timerange": str(extent_timerange(extent))}
        edit.tell("flows/segments_deleted", body, stored.flow)
    relations.delete_flow(edit, stored.flow)
    due = edit.now_ns + (_GRACE_NS if few else 0)
    edit.add(put_task(task, due, ABSENT))
    edit.commit()
    if not few:
        return _accepted(gateway, request, task)
    _finish(gateway, task.document.id)
    return Response(status=204)


def delete_segments(gateway: Gateway, request: Request) -> Response:
    """Delete the segments that a timerange wholly covers (R-SEG-34 to -37)."""
    flow_id = path_uuid(request.path["flowId"], "flow")
    edit = Edit(gateway, request)
    stored = edit.existing(flow_id, Permission.DELETE)
    params = Params(request.query)
    given = params.timerange("timerange")
    timerange = EVERYTHING if given is None else given
    object_id = params.text("object_id")
    stored.flow.check_writable()
    # A segment can stick out of the timerange at either end: two more than may be deleted.
    limit = gateway.limits.async_deletion_threshold + 3
    query = SegmentQuery(flow_id, stored.life, object_id=object_id, limit=limit)
    found = touching(gateway, timerange, query).items
    covered = [one for one in found if _covers(timerange, one)]
    if len(covered) > gateway.limits.async_deletion_threshold:
        task = _new_task(edit, stored, timerange, object_id, delete_flow=False)
        # Segments posted from now on are younger than the request, whatever the clocks say.
        edit.add(put_task(task, edit.now_ns, ABSENT))
        edit.add(AddSegments(flow_id, stored.life, [], task.created_ns))
        edit.hold(flow_id)
        edit.commit()
        return _accepted(gateway, request, task)
    if covered:
        edit.hold(flow_id)
        _drop(edit, Use(flow_id, stored.life), stored.flow, covered)
        edit.commit()
        gateway.wake()
    return Response(status=204)


def _is_few(gateway: Gateway, stored: StoredFlow) -> bool:
    limit = gateway.limits.async_deletion_threshold
    query = SegmentQuery(stored.flow.id, stored.life, limit=limit + 1)
    return len(gateway.metadata.segments(query).items) <= limit


def _new_task(
    edit: Edit, stored: StoredFlow, timerange: TimeRange, object_id: str | None, delete_flow: bool
) -> DeletionTask:
    now = date_time(edit.now_ns)
    document = DeletionRequest(
        id=new_uuid(),
        flow_id=stored.flow.id,
        timerange_to_delete=str(timerange),
        timerange_remaining=str(timerange),
        delete_flow=delete_flow,
        created=now,
        created_by=edit.by,
        updated=now,
        status="created",
    )
    return DeletionTask(
        document=document,
        life=stored.life,
        auth_classes=tuple(sorted(auth_classes(stored.flow.tags))),
        created_ns=max(edit.now_ns, stored.touched or 0),
        object_id=object_id,
    )


def _accepted(gateway: Gateway, request: Request, task: DeletionTask) -> Response:
    gateway.wake()
    location = f"{request.base}/flow-delete-requests/{task.document.id}"
    body = msgspec.json.encode(task.document)
    return Response(status=202, body=body, headers={"Location": location})


def _finish(gateway: Gateway, task_id: str) -> None:
    """Do all steps of a small deletion and drop its request; the runner may do them as well."""
    while True:
        record = gateway.metadata.get(DELETION_REQUEST, [task_id]).get(task_id)
        if record is None or "due" not in record.fields:
            break
        try:
            if step(gateway, record, portions=_AT_ONCE):
                gateway.metadata.apply([Delete(DELETION_REQUEST, task_id)])
        except ConflictError:
            continue
        except StoreError:
            break  # The flow is gone, and the rest is the runner's.
    gateway.wake()


def step(
    gateway: Gateway, record: Record, under: tuple[Change, ...] = (), portions: int = 1
) -> bool:
    """Delete the next portions of a request's segments and note it; return whether it is done.

    `under` goes into the same `apply`: the lease of the runner. Raises `ConflictError` where
    another got there first.
    """
    task = read_task(record)
    flow_id = task.document.flow_id
    timerange = TimeRange.parse(task.document.timerange_to_delete)
    edit = Edit(gateway)
    edit.add(*under)
    limit = portions * _PORTION
    query = SegmentQuery(
        flow_id, task.life, object_id=task.object_id, after=task.after, limit=limit
    )
    found = touching(gateway, timerange, query).items
    doomed = [
        one
        for one in found
        if task.document.delete_flow or (_covers(timerange, one) and one.at_ns <= task.created_ns)
    ]
    if doomed:
        stored = edit.stored(flow_id)
        flow = None
        if stored is not None and stored.life == task.life:
            flow = stored.flow
            edit.hold(flow_id)
        _drop(edit, Use(flow_id, task.life), flow, doomed)
    done = len(found) < limit
    progressed = _progressed(edit, task, found, done)
    edit.add(put_task(progressed, None if done else edit.now_ns, record.version))
    edit.commit()
    return done


def _progressed(edit: Edit, task: DeletionTask, found: list[Segment], done: bool) -> DeletionTask:
    timerange = TimeRange.parse(task.document.timerange_to_delete)
    after = found[-1].end_ns if found else task.after
    rest = EMPTY
    if not done and after is not None:
        span = Span(after, timerange.clamp().end)
        left = edit.gateway.metadata.extent(task.document.flow_id, task.life, span)
        rest = extent_timerange(left).intersect(timerange)
    lifetime = edit.gateway.limits.deletion_request_lifetime
    expiry_ns = edit.now_ns + lifetime * SECOND if done else None
    document = replace(
        task.document,
        timerange_remaining=str(rest),
        updated=date_time(edit.now_ns),
        expiry=None if expiry_ns is None else date_time(expiry_ns),
        status="done" if done else "started",
        error=None,
    )
    return replace(task, document=document, after=after, expiry_ns=expiry_ns)


def _drop(edit: Edit, life: Use, flow: Flow | None, segments: list[Segment]) -> None:
    """Remove segments of a life, release their objects and, of a flow still there, tell of it."""
    if flow is not None:
        deleted = extent_timerange((segments[0], segments[-1]))
        body = {"flow_id": flow.id, "timerange": str(deleted)}
        edit.tell("flows/segments_deleted", body, flow)
    edit.add(
        DropSegments(life.flow_id, life.life, segments, edit.now_ns),
        *release(edit.gateway, segments),
    )


def _covers(timerange: TimeRange, segment: Segment) -> bool:
    return timerange.clamp().covers(Span(segment.start_ns, segment.end_ns))
