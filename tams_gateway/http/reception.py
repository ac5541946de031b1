"""What both adapters do before the pipeline: the request as plain values, or why there is none."""

from collections.abc import Mapping
from typing import Final, NoReturn
from urllib.parse import quote

import msgspec

from tams_gateway.domain.errors import HeadersTooLarge, Invalid, Refusal, TooLarge
from tams_gateway.http import paths
from tams_gateway.http.network import Arrival
from tams_gateway.http.pipeline import Pipeline, Reception
from tams_gateway.http.routes import Route
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request

CHUNK: Final = 256 * 2**10
"""How much of a streamed body is read at once, in bytes."""

NOWHERE: Final = "*"
"""The path of requests whose target names none; no template matches it."""

BETWEEN: Final = 4
"""How many bytes of each header are neither name nor value."""

_DIGITS: Final = 18
"""A length of more digits is no length."""

_LAST: Final = {"Connection": "close"}
"""The header of an answer behind which nothing more is read of a connection."""

_NOBODY: Final = Arrival("", "", "")
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


def receive(
    pipeline: Pipeline,
    request: Request,
    parameters: Mapping[str, str],
    *,
    size: int,
    scheme: str,
    server: tuple[str, object] | None,
    root: str,
    peer: str,
) -> Reception:
    """Complete a request that has method, path, query and headers.

    `parameters` are those of the routed path; `size` is that of the headers in bytes; `server`,
    host and port, stands for a `Host` that is not sent; `peer` is the address of who connected.
    """
    headers = request.headers
    size += len(request.url_path) + len(request.query)
    limit = pipeline.limits.header_bytes
    try:
        if size > limit:
            raise HeadersTooLarge(f"header: expected at most {limit} bytes, got {size}")
        host = headers.get("host") or _host(server)
        arrival = pipeline.network.arrival(scheme, host, root, peer, headers)
    except Refusal as refusal:
        request.peer = peer
        return Reception(request, _NOBODY, refusal)
    # Parameters are parts of the routed path.
    request.path = paths.parameters(parameters) if "%" in request.url_path else parameters
    request.base = arrival.base
    request.peer = arrival.peer
    return Reception(request, arrival)


def _host(server: tuple[str, object] | None) -> str:
    host, port = server or ("localhost", None)
    return f"{host}:{port}" if port else host


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the body in bytes; None for one that ends by itself (chunked).

    Raises `Invalid` for what is no length, and for codings other than chunked.
    """
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.strip().lower() != "chunked":
            # A proxy may see the end of such a body elsewhere than the server does.
            raise Invalid(f"Transfer-Encoding: expected chunked, got {coding[:40]!r}", _LAST)
        return None
    text = headers.get("content-length")
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise Invalid(f"Content-Length: expected a number, got {text[:40]!r}")
    return int(text)


def check_size(size: int | None, limit: int) -> None:
    """Refuse a body that is larger than the limit. Raises `TooLarge`."""
    if size is not None and size > limit:
        raise TooLarge(f"body: expected at most {limit} bytes (limits.body_bytes)")


def cut_short() -> Invalid:
    """Return the error of a body that ended before it was complete: it must change nothing."""
    return Invalid("body: the connection ended before the body did")


def query(raw: str) -> str:
    """Return a raw query in ASCII; other bytes, which stand as Latin-1, are percent-encoded."""
    return raw if raw.isascii() else quote(raw.encode("latin-1"), safe=_PRINTABLE)


def refusing(route: Route, refusal: Refusal) -> Route:
    """Return the route with the refusal as its outcome, for whoever is admitted to it."""

    def refuse(_gateway: Gateway, _request: Request) -> NoReturn:
        raise refusal

    return msgspec.structs.replace(route, operation=refuse)
