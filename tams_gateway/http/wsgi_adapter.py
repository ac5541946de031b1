"""The gateway as a WSGI app: Falcon routes and speaks HTTP, the pipeline does the rest."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import falcon

from tams_gateway.domain.errors import Invalid, LengthRequired, NotFound, Refusal, TooLarge
from tams_gateway.http import paths, reception
from tams_gateway.http.falcon_app import fallback, fill, mount
from tams_gateway.http.pipeline import Pipeline
from tams_gateway.http.routes import Route
from tams_gateway.http.table import Table
from tams_gateway.operations.messages import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


_LARGEST_DISCARDED: Final = 2**26
"""What is read at most of a body that is refused, in bytes."""


_LONG_NAME = 64
"""Names of this length come from nobody honest, and are not kept."""

_WITHOUT_PREFIX: Final = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
"""Headers whose variables lack the prefix, and are empty where they were not sent."""

_BLIND = "Granian"
"""The server that ends a chunked body which was cut as if it were whole."""


class _Input(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; fewer only at the end."""


class WsgiApp:
    """The WSGI callable. `close` releases what the process holds; no request follows."""

    def __init__(self, pipeline: Pipeline, table: Table, close: Callable[[], None]) -> None:
        self.close = close
        self._pipeline = pipeline
        self._table = table
        self._app = falcon.App(request_type=_Routed)
        mount(self._app, table, self._respond, self._respond_error)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        try:
            environ["PATH_INFO"] = (
                paths.routed(raw, environ.get("SCRIPT_NAME", ""))
                if raw
                else paths.encoded(environ["PATH_INFO"] or "/")
            )
        except NotFound:
            environ["PATH_INFO"] = reception.NOWHERE
        return self._app(environ, start_response)

    def _respond(
        self, route: Route, req: falcon.Request, resp: falcon.Response, **parameters: str
    ) -> None:
        environ = req.env
        headers, size = _headers(environ)
        request = Request(
            method=req.method,
            url_path=req.path,
            query=reception.query(environ.get("QUERY_STRING", "")),
            headers=headers,
        )
        received = reception.receive(
            self._pipeline,
            request,
            parameters,
            size=size,
            scheme=environ["wsgi.url_scheme"],
            server=(environ["SERVER_NAME"], environ["SERVER_PORT"]),
            root=environ.get("SCRIPT_NAME", ""),
            peer=environ.get("REMOTE_ADDR") or "",
        )
        if received.refusal is None:
            try:
                self._attach_body(route, request, environ)
            except TooLarge as refusal:
                _discard(environ["wsgi.input"], request)
                route = reception.refusing(route, refusal)
            except Refusal as refusal:
                route = reception.refusing(route, refusal)
        response = self._pipeline(route, received)
        # Not behind 400: that body could not be read.
        if route.streams and response.status > 400:
            _discard(environ["wsgi.input"], request)
        fill(resp, response)
        resp.stream = response.stream

    def _attach_body(self, route: Route, request: Request, environ: "WSGIEnvironment") -> None:
        stream: _Input = environ["wsgi.input"]
        length = request.length = reception.content_length(request.headers)
        if route.streams:
            if length is None and environ.get("SERVER_SOFTWARE") == _BLIND:
                raise LengthRequired("Content-Length: is required for uploads under granian")
            request.stream = _chunks(stream, length)
        elif length != 0:
            limit = self._pipeline.limits.body_bytes
            reception.check_size(length, limit)
            request.body = _read(stream, limit + 1 if length is None else length)
            reception.check_size(len(request.body), limit)
            if length is not None and len(request.body) < length:
                raise reception.cut_short()

    def _respond_error(
        self, req: falcon.Request, resp: falcon.Response, error: Exception, _parameters: Any
    ) -> None:
        self._respond(fallback(self._table, req.method, req.uri_template, error), req, resp)


class _Routed(falcon.Request):
    """What Falcon needs to route a request; all else of it is read here, and parsed once."""

    def __init__(self, env: "WSGIEnvironment", options: Any = None) -> None:
        self.env = env
        self.is_websocket = False
        self.method = env["REQUEST_METHOD"]
        self.path = env["PATH_INFO"]
        self.uri_template = None


def _headers(environ: "WSGIEnvironment") -> tuple[dict[str, str], int]:
    """Return the headers, and their size in bytes."""
    headers: dict[str, str] = {}
    size = 0
    for variable, value in environ.items():
        if variable.startswith("HTTP_"):
            name = _header(variable) if len(variable) < _LONG_NAME else _spelt(variable)
            headers[name] = value
            size += len(name) + len(value)
    for variable, name in _WITHOUT_PREFIX.items():
        if value := environ.get(variable):
            headers[name] = value
            size += len(name) + len(value)
    return headers, size + reception.BETWEEN * len(headers)


def _spelt(variable: str) -> str:
    return variable[5:].replace("_", "-").lower()


_header = functools.lru_cache(maxsize=1024)(_spelt)


def _chunks(stream: _Input, length: int | None) -> Iterator[bytes]:
    """Yield a body in chunks. Raises `Invalid` if it ends before it is complete."""
    left = length
    while left != 0:
        chunk = _read(stream, reception.CHUNK if left is None else min(left, reception.CHUNK))
        if not chunk:
            if left is None:
                return
            raise reception.cut_short()
        left = None if left is None else left - len(chunk)
        yield chunk


def _discard(stream: _Input, request: Request) -> None:
    """Take the rest of a refused body in, so that its sender reads the answer, if it ends soon.

    Else the server closes the connection, and the sender may learn no more than that.
    """
    left = _LARGEST_DISCARDED if request.length is None else request.length
    if left > _LARGEST_DISCARDED:
        return
    with suppress(Invalid):
        while left > 0 and (chunk := _read(stream, min(left, reception.CHUNK))):
            left -= len(chunk)


def _read(stream: _Input, size: int) -> bytes:
    try:
        return stream.read(size)
    except Exception as error:
        # A cut or malformed body: WSGI names no error for it, and each server has its own.
        raise Invalid(f"body: cannot be read: {error}") from error
