"""Events as clients read them: pages of what is kept, and a stream that goes on (ADR 0014).

Both are beside the paths of the spec, and there only where an event sink is configured: without
one no events are written.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, get_args

import msgspec

from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.events.event import Event, EventType
from tams_gateway.events.rendering import Shape
from tams_gateway.operations import payloads
from tams_gateway.operations.event_feed import BATCH, PAUSE, EventFeed
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.paging import Paging
from tams_gateway.operations.params import Params
from tams_gateway.operations.urls import UrlFilter
from tams_gateway.storage.metadata import Events

MECHANISM: Final = "tams-gateway.server-sent-events"
"""The name of the stream in `event_stream_mechanisms`."""

_MOST_READ: Final = 20 * BATCH
"""How many events are looked at for one page: a rare kind takes several requests."""

_HEARTBEAT: Final = 15.0
"""Seconds after which a silent stream says that it lives, and learns whether the client does."""

_LONGEST: Final = 900.0
"""Seconds after which a stream ends: the client comes again, with credentials that still hold."""

_TYPES: Final[Sequence[str]] = get_args(EventType)


class _Wanted(msgspec.Struct, frozen=True):
    """What a client wants to hear of."""

    types: tuple[str, ...] | None = None
    source_id: str | None = None
    flow_id: str | None = None

    @classmethod
    def of(cls, params: Params) -> "_Wanted":
        types = params.listed("type")
        for one in types or ():
            if one not in _TYPES:
                raise Invalid.parameter("type", f"{one!r} is none of {', '.join(_TYPES)}")
        return cls(types, params.uuid("source_id"), params.uuid("flow_id"))

    def holds(self, event: Event) -> bool:
        """Whether the client wants the event."""
        return (
            (self.types is None or event.type in self.types)
            and (self.source_id is None or event.fields.get("source_id") == self.source_id)
            and (self.flow_id is None or event.fields.get("flow_id") == self.flow_id)
        )


class _Shown:
    """Shows events to one client: those that it wants and may see."""

    def __init__(self, gateway: Gateway, request: Request, params: Params) -> None:
        self._gateway = gateway
        self._principal = request.principal
        self._wanted = _Wanted.of(params)
        urls = UrlFilter.of(params)
        self._shape = Shape(
            base=request.base,
            accept_get_urls=urls.labels,
            accept_storage_ids=urls.storage_ids,
            presigned=urls.presigned,
            verbose_storage=urls.verbose,
            include_object_timerange=params.boolean("include_object_timerange") is True,
        )

    def __call__(self, event: Event) -> bytes | None:
        if not self._wanted.holds(event):
            return None
        return payloads.render(self._gateway, event, self._shape, self._principal)


def get_events(gateway: Gateway, request: Request) -> Response:
    """Return events behind a place, oldest first: `{"events": [...], "next": place}`.

    `next` is where the next request goes on, also from the end. A page may hold fewer than
    `limit`, or none, though there are more behind it: `more` tells.
    """
    feed = _feed(gateway)
    params = Params(request.query)
    shown = _Shown(gateway, request, params)
    limit = Paging.of(params, gateway.limits).limit
    place = params.text("after")
    cursor = None if place is None else feed.cursor(place, "after")
    found: list[msgspec.Raw] = []
    read, more = 0, True
    while more and len(found) < limit and read < _MOST_READ:
        wanted = min(limit - len(found), BATCH)
        batch = feed.page(cursor, wanted)
        found += [msgspec.Raw(one) for event in batch.items if (one := shown(event)) is not None]
        cursor, more = batch.cursor, len(batch.items) == wanted
        read += len(batch.items)
    assert cursor is not None
    body = {"events": found, "next": feed.place(cursor), "more": more}
    return Response(body=msgspec.json.encode(body), headers={"Cache-Control": "no-store"})


def get_event_stream(gateway: Gateway, request: Request) -> Response:
    """Return events as they come, as server-sent events.

    They begin behind `Last-Event-ID`, else behind `after`, else now.
    """
    feed = _feed(gateway)
    params = Params(request.query)
    shown = _Shown(gateway, request, params)
    place = request.headers.get("last-event-id") or params.text("after")
    cursor = feed.tip() if place is None else feed.cursor(place, "after")
    feed.enter()
    return Response(
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        stream=EventStream(feed, cursor, shown),
    )


def _feed(gateway: Gateway) -> EventFeed:
    if gateway.feed is None:
        raise NotFound("path: no events are kept here: no [[events]] is configured")
    return gateway.feed


class EventStream:
    """A body that goes on: `poll` never waits, so that a loop may do without a thread for it."""

    pause = PAUSE
    """How long to wait after a `poll` that had nothing, in seconds."""

    def __init__(
        self,
        feed: EventFeed,
        cursor: str,
        shown: Callable[[Event], bytes | None],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._cursor = cursor
        self._shown = shown
        self._elapsed = elapsed
        self._begun = self._spoken = elapsed()
        self._closed = False
        self._first = True

    def poll(self) -> bytes | None:
        """Return what there is to send, `b""` at the end, None for nothing yet.

        Raises `StoreError`, with which the stream breaks; the client comes again.
        """
        now = self._elapsed()
        if self._closed or now - self._begun > _LONGEST:
            return b""
        batch = self._feed.read(self._cursor)
        chunk = self._lines(batch)
        self._cursor = batch.cursor
        if not chunk and (self._first or now - self._spoken > _HEARTBEAT):
            chunk = b": here\n\n"
        if not chunk:
            # What was read and not shown need not be read again at once.
            return None
        self._first, self._spoken = False, now
        return chunk

    def _lines(self, batch: Events) -> bytes:
        """Return a batch; only with its last event a client has come to the end of it."""
        texts = [text for event in batch.items if (text := self._text(event)) is not None]
        if not texts:
            return b""
        before = self._feed.place(self._cursor).encode()
        behind = self._feed.place(batch.cursor).encode()
        ids = [before] * (len(texts) - 1) + [behind]
        return b"".join(b"id: %s\n%s" % (id_, text) for id_, text in zip(ids, texts, strict=True))

    def _text(self, event: Event) -> bytes | None:
        shown = self._shown(event)
        return None if shown is None else b"event: %s\ndata: %s\n\n" % (event.type.encode(), shown)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            chunk = self.poll()
            if chunk == b"":
                raise StopIteration
            if chunk is not None:
                return chunk
            time.sleep(PAUSE)

    def close(self) -> None:
        """End the stream; once for all."""
        if not self._closed:
            self._closed = True
            self._feed.leave()
