"""What the posting of segments asks of their objects (R-SEG-20 to -33)."""

from collections.abc import Mapping

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.flow import Flow
from tams_gateway.domain.media_object import MOST_INSTANCES, Instance, MediaObject
from tams_gateway.domain.segment import Posted, PostedUrl
from tams_gateway.domain.timerange import TimeRange


class Registration:
    """Judges segments of one flow in order, keeping the objects as those accepted leave them.

    `objects` are all that the segments name and that have a record; `labels` those of the storage
    backends, which no uncontrolled instance may take (R-SEG-22). `absent` are the allocated ones
    that are refused, since their bytes are not there. `hidden` are ids of objects that the
    principal knows nothing of, which are not in `objects` (R-AUTH-07).
    """

    def __init__(
        self,
        flow: Flow,
        objects: Mapping[str, MediaObject],
        labels: frozenset[str],
        absent: frozenset[str] = frozenset(),
        hidden: frozenset[str] = frozenset(),
    ) -> None:
        self._flow = flow
        self._uses_init_segments = flow.uses_init_segments
        self._objects = dict(objects)
        self._labels = labels
        self._absent = absent
        self._hidden = hidden
        self.changed: dict[str, MediaObject] = {}
        """The objects that the accepted segments register or use, as they are to be stored."""

    def accept(self, posted: Posted) -> MediaObject:
        """Count one more use of the segment's object and return it; raises `Invalid`."""
        known = self._objects.get(posted.sent.object_id)
        if known is None or known.state == "collected":
            media_object = self._external(posted)
        elif known.state == "allocated":
            media_object = self._first(posted, known)
        else:
            media_object = self._reused(posted, known)
        used = replace(media_object, uses=media_object.uses + 1)
        self._keep(used)
        return used

    def check_repeated(self, posted: Posted) -> None:
        """Refuse a segment that says of an object of this batch what is not true of it."""
        known = self._objects.get(posted.sent.object_id)
        if known is not None and known.state == "registered":
            self._reused(posted, known)

    def _keep(self, media_object: MediaObject) -> None:
        self._objects[media_object.id] = media_object
        self.changed[media_object.id] = media_object

    def _external(self, posted: Posted) -> MediaObject:
        """Register an object whose bytes lie elsewhere (R-SEG-21; ADR 0030)."""
        sent = posted.sent
        if not sent.get_urls:
            raise Invalid.at(
                "/object_id",
                f"object {sent.object_id!r} is unknown: allocate it at /flows/{self._flow.id}"
                "/storage, or give get_urls where it can be read",
            )
        if sent.object_id in self._hidden:
            raise Invalid.at("/object_id", f"the id {sent.object_id!r} is taken")
        if sent.object_id in self._objects:
            raise Invalid.at("/object_id", f"object {sent.object_id!r} is being deleted")
        assert isinstance(self._flow.container, str)
        made = MediaObject(sent.object_id, self._flow.container, self._flow.id)
        return self._registered(posted, made)

    def _first(self, posted: Posted, allocated: MediaObject) -> MediaObject:
        """Register an allocated object: once, by the flow that it was allocated for."""
        self._check_allocated("/object_id", allocated)
        self._check_content_type(allocated)
        return self._registered(posted, allocated)

    def _registered(self, posted: Posted, media_object: MediaObject) -> MediaObject:
        sent = posted.sent
        timerange = posted.on_object
        if posted.object_timerange is not None:
            timerange = posted.object_timerange
            _check_part(posted, timerange)
        urls = () if isinstance(sent.get_urls, UnsetType) else sent.get_urls
        instances = (*media_object.instances, *self._uncontrolled(urls))
        if len(instances) > MOST_INSTANCES:
            raise Invalid.at("/get_urls", f"an object has at most {MOST_INSTANCES} instances")
        # Last, since it counts a use of the init object: nothing may fail behind it.
        init_object_id = self._init_object(posted)
        return replace(
            media_object,
            state="registered",
            expires=None,
            timerange=timerange.short(),
            key_frame_count=None if sent.key_frame_count is UNSET else sent.key_frame_count,
            init_object_id=init_object_id,
            instances=instances,
        )

    def _reused(self, posted: Posted, media_object: MediaObject) -> MediaObject:
        """Refer to a registered object again: what is its own must agree (R-SEG-23 to -26)."""
        sent = posted.sent
        if media_object.init:
            raise Invalid.at("/object_id", f"object {sent.object_id!r} is an init object")
        self._check_content_type(media_object)
        assert media_object.timerange is not None
        timerange = TimeRange.parse(media_object.timerange)
        if posted.object_timerange is not None and posted.object_timerange != timerange:
            raise Invalid.at(
                "/object_timerange", f"the object's timerange is {media_object.timerange}"
            )
        _check_part(posted, timerange)
        _check_equal("/key_frame_count", sent.key_frame_count, media_object.key_frame_count)
        _check_equal("/init_object_id", sent.init_object_id, media_object.init_object_id)
        if self._uses_init_segments != (media_object.init_object_id is not None):
            raise Invalid.at(
                "/object_id",
                f"object {sent.object_id!r} has {'an' if media_object.init_object_id else 'no'} "
                f"init object, unlike those of flow {self._flow.id}",
            )
        _check_known_urls(sent.get_urls, media_object)
        return media_object

    def _init_object(self, posted: Posted) -> str | None:
        """Register the init object with the first media object that names it (R-SEG-30 to -33)."""
        init_object_id = posted.sent.init_object_id
        if isinstance(init_object_id, UnsetType):
            if self._uses_init_segments:
                raise Invalid.at("/init_object_id", "is required: the flow uses init segments")
            return None
        if not self._uses_init_segments:
            raise Invalid.at(
                "/init_object_id", "must not be set: the flow's init_segments is not true"
            )
        init = self._objects.get(init_object_id)
        if init is None or init.state == "collected" or init_object_id == posted.sent.object_id:
            raise Invalid.at(
                "/init_object_id", f"object {init_object_id!r} is not allocated as an init object"
            )
        if init.state == "registered" and not init.init:
            raise Invalid.at("/init_object_id", f"object {init_object_id!r} is a media object")
        if init.state == "allocated":
            self._check_allocated("/init_object_id", init)
        self._keep(replace(init, state="registered", init=True, expires=None, uses=init.uses + 1))
        return init_object_id

    def _check_allocated(self, pointer: str, allocated: MediaObject) -> None:
        if allocated.flow_id != self._flow.id:
            raise Invalid.at(
                pointer,
                f"object {allocated.id!r} was allocated for flow {allocated.flow_id}, "
                "which has to register it first",
            )
        if allocated.id in self._absent:
            raise Invalid.at(pointer, f"the bytes of object {allocated.id!r} are not uploaded yet")

    def _check_content_type(self, media_object: MediaObject) -> None:
        container = self._flow.container
        if not isinstance(container, str) or media_object.content_type.lower() != container.lower():
            raise Invalid.at(
                "/object_id",
                f"object {media_object.id!r} is {media_object.content_type}, "
                f"but the flow's container is {container}",
            )

    def _uncontrolled(self, urls: tuple[PostedUrl, ...]) -> list[Instance]:
        seen: set[str] = set()
        for index, one in enumerate(urls):
            if one.label in self._labels:
                raise Invalid.at(
                    f"/get_urls/{index}/label", f"{one.label!r} belongs to a storage backend"
                )
            if one.label in seen:
                raise Invalid.at(f"/get_urls/{index}/label", f"{one.label!r} is given twice")
            seen.add(one.label)
        return [Instance(url=one.url, label=one.label) for one in urls]


def _check_part(posted: Posted, timerange: TimeRange) -> None:
    """Refuse a segment that reaches out of its object (R-SEG-26)."""
    if not timerange.bounded_span().covers(posted.on_object.bounded_span()):
        raise Invalid.at(
            "/timerange",
            f"timerange - ts_offset is {posted.on_object}, "
            f"which is not inside the object's timerange {timerange}",
        )


def _check_equal(pointer: str, sent: object, stored: object) -> None:
    if sent is not UNSET and sent != stored:
        raise Invalid.at(pointer, f"the object has {stored!r}, and objects are immutable")


def _check_known_urls(urls: tuple[PostedUrl, ...] | UnsetType, media_object: MediaObject) -> None:
    """Accept the object's own uncontrolled URLs again, nothing else (R-SEG-23, G-17)."""
    if isinstance(urls, UnsetType):
        return
    known = {(one.url, one.label) for one in media_object.instances if not one.controlled}
    for index, one in enumerate(urls):
        if (one.url, one.label) not in known:
            raise Invalid.at(
                f"/get_urls/{index}",
                "is no URL of the object; add it at /objects/{objectId}/instances",
            )
