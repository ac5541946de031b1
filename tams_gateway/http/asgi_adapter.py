"""The gateway as an ASGI app: one hop into a thread for each request that may have to wait."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from functools import partial
from typing import Any, Final

import falcon
import falcon.asgi

from tams_gateway.domain.errors import Invalid, NotFound, Refusal
from tams_gateway.http import paths, reception
from tams_gateway.http.falcon_app import fallback, fill, mount
from tams_gateway.http.pipeline import Pipeline
from tams_gateway.http.routes import Route
from tams_gateway.http.table import Table
from tams_gateway.http.threads import Threads
from tams_gateway.operations.messages import Polled, Request
from tams_gateway.plugin.provider import Blocks

Scope = dict[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

_RECEIVE: Final = "tams_gateway.receive"
"""The key in the scope under which the server's `receive` goes past Falcon, which would take
a body that was cut short for one that is complete."""

_PATIENCE: Final = 30.0
"""How long a client may send nothing of its body, in seconds."""


class AsgiApp:
    """The ASGI callable. `close` releases what the process holds; no request follows.

    `threads` bounds the requests that are worked on at once. `blocks` tells which of them need a
    thread: all, those that are not brief (`"writes"`), or only those whose body is a stream.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        table: Table,
        *,
        threads: int,
        blocks: Blocks,
        start: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._table = table
        self._blocks = blocks
        self._start = start
        self._close = close
        self._threads = Threads(threads, "request")
        # An upload holds its thread as long as it takes, and must not take those of requests.
        self._upload_threads = Threads(threads, "upload")
        self._app = falcon.asgi.App(request_type=_Routed)
        mount(self._app, table, self._respond, self._respond_error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope (ASGI 3)."""
        if scope["type"] == "http":
            scope["path"] = _path(scope)
            scope[_RECEIVE] = receive
            try:
                await self._app(scope, _nothing, send)
            finally:
                # Servers' `receive` leads back to the scope: a cycle, which only the garbage
                # collector would free.
                del scope[_RECEIVE]
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app(scope, receive, send)

    def close(self) -> None:
        """Release what the process holds; a thread whose request was cut is not waited for."""
        for threads in (self._threads, self._upload_threads):
            threads.close()
        self._close()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond(
        self, route: Route, req: falcon.asgi.Request, resp: falcon.asgi.Response, **parameters: str
    ) -> None:
        scope, receive = req.scope, req.scope[_RECEIVE]
        headers, size = _headers(scope["headers"])
        request = Request(
            method=req.method,
            url_path=req.path,
            query=reception.query(scope["query_string"].decode("latin-1")),
            headers=headers,
        )
        received = reception.receive(
            self._pipeline,
            request,
            parameters,
            size=size,
            scheme=scope.get("scheme", "http"),
            server=scope.get("server"),
            root=scope.get("root_path", "").rstrip("/"),
            peer=(scope.get("client") or ("",))[0],
        )
        body = None
        if received.refusal is None:
            try:
                length = request.length = reception.content_length(request.headers)
                if length != 0 or route.streams:
                    body = _Body(receive)
                    await self._attach(route, request, body)
            except Refusal as refusal:
                route = reception.refusing(route, refusal)
        if self._needs_thread(route, request):
            threads = self._upload_threads if route.streams else self._threads
            response = await threads.run(partial(self._pipeline, route, received))
        else:
            response = self._pipeline(route, received)
        if body is not None and body.stalled:
            response.headers = {**response.headers, "Connection": "close"}
        fill(resp, response)
        if response.stream is not None:
            stream = _Stream if isinstance(response.stream, Polled) else _Download
            resp.stream = stream(response.stream, self._threads, receive)

    def _needs_thread(self, route: Route, request: Request) -> bool:
        waits = not route.brief if self._blocks == "writes" else self._blocks or route.streams
        return waits or self._pipeline.waits(route, request)

    async def _attach(self, route: Route, request: Request, body: "_Body") -> None:
        """Give a request its body. Raises `TooLarge`, `Invalid`."""
        if route.streams:
            request.stream = body.chunks(asyncio.get_running_loop(), request.length)
            return
        limit = self._pipeline.limits.body_bytes
        reception.check_size(request.length, limit)
        request.body = await body.whole(limit)

    async def _respond_error(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        error: Exception,
        _parameters: Any,
    ) -> None:
        await self._respond(fallback(self._table, req.method, req.uri_template, error), req, resp)


class _Routed(falcon.asgi.Request):
    """What Falcon needs to route a request; all else of it is read here, and parsed once."""

    def __init__(
        self, scope: dict[str, Any], receive: Receive, first_event: Any = None, options: Any = None
    ) -> None:
        self.scope = scope
        self.is_websocket = scope["type"] == "websocket"
        self.method = scope.get("method", "GET")
        self.path = scope["path"]
        self.uri_template = None


class _Body:
    """The body of a request as it comes in."""

    def __init__(self, receive: Receive) -> None:
        self.stalled = False
        self._receive = receive
        self._ended = False

    async def whole(self, limit: int) -> bytes:
        """Return all of it. Raises `TooLarge` above the limit, `Invalid` if it does not end."""
        parts: list[bytes] = []
        size = 0
        while part := await self._more(reception.CHUNK):
            size += len(part)
            reception.check_size(size, limit)
            parts.append(part)
        return b"".join(parts)

    def chunks(self, loop: asyncio.AbstractEventLoop, length: int | None) -> Iterator[bytes]:
        """Yield it in chunks, to a thread that is not the loop's; one chunk waits at a time.

        Raises `Invalid` if it does not end.
        """
        if length == 0:
            return
        while chunk := asyncio.run_coroutine_threadsafe(self._more(reception.CHUNK), loop).result():
            yield chunk

    async def _more(self, enough: int) -> bytes:
        """Return the next part, nothing at the end; a larger one spares hops into the loop."""
        parts: list[bytes] = []
        size = 0
        while size < enough and not self._ended:
            try:
                async with asyncio.timeout(_PATIENCE):
                    event = await self._receive()
            except TimeoutError as error:
                self.stalled = True
                raise Invalid(f"body: nothing came for {_PATIENCE:.0f} s") from error
            if event["type"] == "http.disconnect":
                raise reception.cut_short()
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            self._ended = not event.get("more_body", False)
        return b"".join(parts)


class _Download:
    """The body of a response, each chunk fetched in a thread, until the client is gone."""

    def __init__(
        self,
        chunks: Any,
        threads: Threads,
        receive: Receive,
    ) -> None:
        self._chunks = chunks
        self._next: Callable[[], bytes | None] = partial(next, iter(chunks), None)
        self._threads = threads
        self._gone = asyncio.ensure_future(_disconnected(receive))

    def __aiter__(self) -> "_Download":
        return self

    async def __anext__(self) -> bytes:
        chunk = None if self._gone.done() else await self._threads.run(self._next)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def close(self) -> None:
        """Release the source, whether or not it was read to its end."""
        self._gone.cancel()
        try:
            await self._threads.run(self._chunks.close)
        except RuntimeError:
            # The app was closed, and with it the threads, when the client had the last byte.
            self._chunks.close()


class _Stream(_Download):
    """A body that goes on: between looks it holds no thread."""

    async def __anext__(self) -> bytes:
        while not self._gone.done():
            chunk = await self._threads.run(self._chunks.poll)
            if chunk is not None:
                if not chunk:
                    break
                return bytes(chunk)
            await asyncio.wait([self._gone], timeout=self._chunks.pause)
        raise StopAsyncIteration


async def _nothing() -> Event:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _path(scope: Scope) -> str:
    """Return the path as it is routed."""
    raw, root = scope.get("raw_path"), scope.get("root_path", "")
    try:
        if raw:
            return paths.routed(raw.decode("latin-1"), root)
        return paths.encoded(_below(root, scope["path"]))
    except NotFound:
        return reception.NOWHERE


def _below(root: str, path: str) -> str:
    """Return a decoded path below the base path, its characters standing for bytes."""
    path = path[len(root) :] if root and path.startswith(root) else path
    return (path or "/").encode().decode("latin-1")


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], int]:
    """Return the headers, those that came more than once joined, and their size in bytes."""
    headers: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        size += len(name) + len(value)
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers, size + reception.BETWEEN * len(headers)
