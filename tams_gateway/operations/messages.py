"""Requests and responses as plain values: what the operations know of HTTP."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol, runtime_checkable

import msgspec

from tams_gateway.auth.access import EVERYTHING, Access
from tams_gateway.auth.principal import ANYBODY, Principal

JSON: Final = "application/json"


class Request(msgspec.Struct, kw_only=True, gc=False):
    """One request. The adapter and the reception fill it, the pipeline sets `id`, `principal` and
    `access`, which is what the principal may do with what has which classes.

    `path` holds the decoded path parameters, `query` the raw query string, `headers` the header
    with names in lower case. `base` is the URL under which the client reaches the API, without a
    trailing slash (B1, B29). `body` is the whole body, except on a media PUT, where `stream`
    yields it in chunks; `length` is the announced one in bytes, None if the body ends by itself.
    `peer` is the client's address, behind trusted proxies. `url_path` is the
    path as the client sent it, `id` that of the request in the log and in errors.
    """

    method: str
    path: Mapping[str, str] = {}
    query: str = ""
    headers: Mapping[str, str] = {}
    base: str = ""
    url_path: str = ""
    peer: str = ""
    id: str = ""
    body: bytes = b""
    length: int | None = None
    stream: Iterator[bytes] | None = None
    principal: Principal = ANYBODY
    access: Access = EVERYTHING


@runtime_checkable
class Polled(Iterator[bytes], Protocol):
    """A stream that goes on as things happen: a loop may serve it without a thread that waits."""

    pause: float
    """How long to wait after a `poll` that had nothing, in seconds."""

    def poll(self) -> bytes | None:
        """Return what there is to send, `b""` at the end, None for nothing yet."""


class Response(msgspec.Struct, kw_only=True):
    """One response: a body of bytes, or a blocking `stream` of them that is closed after use.

    With a stream, `headers` carry the `Content-Length`, unless it is a `Polled` one. Without body
    and stream there is no content type.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = {}
    stream: Iterable[bytes] | None = None
