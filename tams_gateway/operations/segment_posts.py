"""Posting of segments, one or many, in one transaction (R-SEG-10 to -29)."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw

from tams_gateway.auth.access import Permission
from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.errors import Invalid, Refusal
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.domain.media_object import MediaObject
from tams_gateway.domain.segment import (
    Posted,
    SegmentDocument,
    SegmentPost,
    check,
    document,
    parse_post,
)
from tams_gateway.operations import media_objects, references, uploads
from tams_gateway.operations.edit import Edit
from tams_gateway.operations.flow_records import StoredFlow
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.media_objects import Stored
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.registration import Registration
from tams_gateway.operations.segments import shown_segment
from tams_gateway.storage.changes import ABSENT, AddSegments
from tams_gateway.storage.errors import OverlapError
from tams_gateway.storage.records import Segment

_encode = msgspec.json.Encoder().encode
_document = msgspec.json.Decoder(SegmentDocument)

Outcome = Refusal | None
"""What became of a posted segment: refused, or None for one that is stored."""


def post_segments(gateway: Gateway, request: Request) -> Response:
    """Add segments: 201 if all are stored, 200 with the failed ones of a list (R-SEG-11)."""
    flow_id = path_uuid(request.path["flowId"], "flow")
    edit = Edit(gateway, request)
    stored = edit.existing(flow_id, Permission.WRITE)
    sent = parse_post(request.body)
    stored.flow.check_writable()
    posts = sent if isinstance(sent, list) else [sent]
    outcomes = add(gateway, request, stored, posts)
    failed = {index: one for index, one in enumerate(outcomes) if one is not None}
    if not failed:
        return Response(status=201)
    if not isinstance(sent, list):
        raise failed[0]
    return Response(body=_failures(gateway, posts, failed))


def _failures(gateway: Gateway, posts: Sequence[SegmentPost], failed: dict[int, Refusal]) -> bytes:
    time = date_time(gateway.now_ns())
    return _encode(
        {
            "failed_segments": [
                {
                    "object_id": posts[index].object_id,
                    "timerange": posts[index].timerange,
                    "error": {
                        "type": one.type,
                        "summary": f"/{index}{one.summary}"
                        if one.summary.startswith("/")
                        else one.summary,
                        "time": time,
                    },
                }
                for index, one in failed.items()
            ]
        }
    )


def add(
    gateway: Gateway,
    request: Request,
    stored: StoredFlow,
    posts: Sequence[SegmentPost],
    new: Mapping[str, MediaObject] = {},
) -> list[Outcome]:
    """Store what can be stored; a round is tried again without what meets stored segments.

    `new` are allocated objects that are not stored yet. Raises `Invalid` for a flow that has no
    segments of its own.
    """
    if not stored.flow.container:
        raise Invalid(f"flow {stored.flow.id} has no container, so it has no segments of its own")
    objects = {id_: Stored(one, ABSENT) for id_, one in new.items()} | _objects(gateway, posts)
    hidden = references.hidden(
        gateway, request.access, stored.flow.id, (one.object for one in objects.values())
    )
    known, absent = uploads.look(
        gateway, {id_: one.object for id_, one in objects.items() if id_ not in hidden}
    )
    settled: dict[int, Outcome] = {}
    while True:
        # Younger than all that touched the flow, also where the clock was set back.
        at = max(gateway.now_ns(), (stored.touched or 0) + 1)
        batch = _Batch(Registration(stored.flow, known, _labels(gateway), absent, hidden), at)
        outcomes = [
            settled[index] if index in settled else batch.judge(index, post)
            for index, post in enumerate(posts)
        ]
        if not batch.segments:
            return outcomes
        try:
            _commit(gateway, request, stored, batch, objects)
        except OverlapError as error:
            for position, existing in error.overlaps.items():
                index = batch.indexes[position]
                settled[index] = _met(batch.posted[position], existing)
            continue
        return outcomes


def _objects(gateway: Gateway, posts: Sequence[SegmentPost]) -> dict[str, Stored]:
    ids = dict.fromkeys(post.object_id for post in posts)
    ids.update(dict.fromkeys(one for post in posts if isinstance(one := post.init_object_id, str)))
    return media_objects.load(gateway, ids)


def _labels(gateway: Gateway) -> frozenset[str]:
    return frozenset(backend.label for backend in gateway.backends.values())


def _met(posted: Posted, existing: Segment) -> Outcome:
    """Tell a repeated segment, which is fine, from one that overlaps (R-SEG-15, -16)."""
    if _same(posted, existing):
        return None
    stored = _document.decode(existing.body)
    return Invalid.at(
        "/timerange",
        f"{posted.timerange.short()} overlaps the segment {stored.timerange} "
        f"of object {stored.object_id!r}",
    )


def _same(posted: Posted, existing: Segment) -> bool:
    """Whether the stored segment is what was posted; an absent ts_offset is `0:0`."""
    stored = _document.decode(existing.body)
    mine = document(posted, None)
    return all(
        getattr(stored, name) == getattr(mine, name)
        for name in ("object_id", "timerange", "last_duration", "sample_offset", "sample_count")
    ) and (stored.ts_offset or "0:0") == (mine.ts_offset or "0:0")


class _Batch:
    """The segments of one attempt, judged in order against their objects and each other."""

    def __init__(self, registration: Registration, at: int) -> None:
        self.registration = registration
        self.at_ns = at
        self.segments: list[Segment] = []
        self.posted: list[Posted] = []
        self.indexes: list[int] = []
        self._ordered: list[tuple[int, int, int]] = []

    def judge(self, index: int, post: SegmentPost) -> Outcome:
        """Take the segment into the batch, or say why not."""
        try:
            posted = check(post)
            neighbour = self._neighbour(posted)
            if neighbour is not None:
                self.registration.check_repeated(posted)
                return _met(posted, self.segments[neighbour])
            media_object = self.registration.accept(posted)
        except Refusal as refusal:
            return refusal
        span = posted.span
        body = _encode(document(posted, media_object.key_frame_count))
        place = (span.start, span.end, len(self.segments))
        self._ordered.insert(bisect_right(self._ordered, place), place)
        self.segments.append(
            Segment(
                span.start,
                span.end,
                post.object_id,
                body,
                self.at_ns,
                media_object.init_object_id,
            )
        )
        self.posted.append(posted)
        self.indexes.append(index)
        return None

    def _neighbour(self, posted: Posted) -> int | None:
        """Return the position of a segment of this batch that the posted one meets (R-SEG-13)."""
        span = posted.span
        at = bisect_right(self._ordered, (span.start, span.end, len(self.segments)))
        for start, end, position in self._ordered[max(at - 1, 0) : at + 1]:
            if start < span.end and span.start < end:
                return position
        return None


def _commit(
    gateway: Gateway,
    request: Request,
    stored: StoredFlow,
    batch: _Batch,
    objects: dict[str, Stored],
) -> None:
    edit = Edit(gateway, request)
    edit.expect_flow(stored)
    for object_id, media_object in batch.registration.changed.items():
        known = objects.get(object_id)
        edit.add(media_objects.put(media_object, ABSENT if known is None else known.version))
    edit.add(AddSegments(stored.flow.id, stored.life, batch.segments, batch.at_ns))
    told = batch.segments if gateway.listening else []
    for part in _parts(told, gateway.limits.segments_per_event):
        shown = [Raw(shown_segment(segment)) for segment in part]
        body = {"flow_id": stored.flow.id, "segments": shown}
        edit.tell("flows/segments_added", body, stored.flow)
    edit.commit()


def _parts(segments: Sequence[Segment], size: int) -> Iterator[Sequence[Segment]]:
    """Cut a large batch into events that a receiver can take."""
    for start in range(0, len(segments), size):
        yield segments[start : start + size]
