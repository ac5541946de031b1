"""What happens around every operation: once, for both app types, in the thread that works.

A request gets its id, is admitted (origin, this machine alone, credentials, scope: 401 and 403
come first), runs, is run again where another writer was faster, and leaves one line in the log.
"""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final
from urllib.parse import parse_qs

import msgspec
import structlog

from tams_gateway import log
from tams_gateway.auth import policy
from tams_gateway.auth.chain import Chain
from tams_gateway.auth.provider import Credentials
from tams_gateway.domain.errors import Forbidden, Invalid, Refusal, StorageFull, Unavailable
from tams_gateway.http import problems
from tams_gateway.http.cors import LOCAL, Cors
from tams_gateway.http.network import Arrival, Network
from tams_gateway.http.routes import Route
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Polled, Request, Response
from tams_gateway.settings import ServiceSettings
from tams_gateway.storage.errors import ConflictError, FullError, StoreError

_log = structlog.get_logger("tams_gateway.request")

_SANE_ID = re.compile(r"[!-~]{1,128}")

_PATIENCE: Final = 5.0
"""How long a request is run again after conflicts, in seconds."""

_WRITING: Final = frozenset({"PUT", "POST", "DELETE"})
"""The methods of requests that may write."""

_FIRST_PAUSE: Final = 0.004
_LONGEST_PAUSE: Final = 0.25
_RETRY_AFTER: Final = {"Retry-After": "2"}


class Reception(msgspec.Struct, frozen=True):
    """A request at the door: how it arrived, or the refusal that it gets unseen.

    The refusal is for what kept it from arriving: a header that is too large, a malformed host.
    """

    request: Request
    arrival: Arrival
    refusal: Refusal | None = None


class Pipeline:
    """Turns a route and a request into a response; never raises."""

    def __init__(self, gateway: Gateway, chain: Chain, service: ServiceSettings) -> None:
        self.network = Network(service.public_url, service.trusted_proxies)
        self.limits = gateway.limits
        self._gateway = gateway
        self._chain = chain
        self._rates = chain.rates
        self._may_wait = chain.may_wait
        self._open = chain.open
        self._local_only = chain.open and not service.auth_open
        default = LOCAL if chain.open else ("*",)
        self._cors = Cors(default if service.cors_origins is None else service.cors_origins)

    def __call__(self, route: Route, received: Reception) -> Response:
        """Return the response to a request."""
        started = time.perf_counter_ns()
        request = received.request
        headers = request.headers
        sent_id = headers.get("x-request-id")
        if sent_id is not None and _SANE_ID.fullmatch(sent_id):
            request.id = sent_id
        else:
            request.id = random.randbytes(8).hex()
        try:
            if received.refusal is not None:
                raise received.refusal
            self._admit(route, request, received.arrival)
            response = self._answer(route, request)
            if route.logs_in and response.status < 500:
                right = response.status < 400
                self._chain.note_login(request.peer, _login_mark(request), right=right)
        except Refusal as refused:
            response = problems.refused(refused, request.id)
        except FullError as error:
            response = self._store_failed(
                error, StorageFull if route.streams else Unavailable, request
            )
        except StoreError as error:
            response = self._store_failed(error, Unavailable, request)
        except Exception:
            _log.exception("bug", request_id=request.id, route=route.template)
            response = problems.failed(request.id)
        return self._finish(route, request, received.arrival, response, started)

    def waits(self, route: Route, request: Request) -> bool:
        """Whether it may take its time to tell whom a request is for."""
        if route.open or not self._may_wait:
            return route.logs_in
        try:
            return self._chain.waits(_credentials(request))
        except Invalid:
            return False

    def _admit(self, route: Route, request: Request, arrival: Arrival) -> None:
        """Refuse who may not come in.

        Raises `Unauthenticated`, `Forbidden`, `Invalid`, `TooManyRequests`.
        """
        origin = request.headers.get("origin")
        if origin is not None and not self._cors.allows(origin, arrival.own):
            raise Forbidden(
                f"Origin: pages of {origin} may not call; add it to cors_origins of [service]"
            )
        if self._local_only and not arrival.local:
            raise Forbidden(
                "without an auth provider only this machine is served, by the name localhost: "
                "configure [[auth]], or set auth_open = true in [service] to serve anybody"
            )
        if route.logs_in:
            self._chain.check_login(request.peer, _login_mark(request))
        if self._rates.on and (route.logs_in or not route.open):
            self._rates.check(f"address {request.peer}")
        if route.open or (route.admits and route.admits(self._gateway, request)) or self._open:
            return
        request.principal = self._chain.authenticate(_credentials(request))
        request.access = self._gateway.policy.access(request.principal)
        policy.check(request.principal, route.scopes)

    def _answer(self, route: Route, request: Request) -> Response:
        """Run the operation; what may write is noted in the audit trail."""
        audit = self._gateway.audit
        if audit is None or request.method not in _WRITING:
            return self._operate(route, request)
        operate = partial(self._operate, route, request)
        return audit.around(route.template, request, operate)

    def _operate(self, route: Route, request: Request) -> Response:
        """Run the operation, again where another writer was faster: it reads and decides anew.

        A body that is a stream is gone after the first time; such an operation sees to it itself.
        """
        pause, end = _FIRST_PAUSE, 0.0
        while True:
            try:
                return route.operation(self._gateway, request)
            except ConflictError as error:
                now = time.monotonic()
                end = end or now + _PATIENCE
                if route.streams or now >= end:
                    summary = "too many writers met here at once; nothing was changed: try again"
                    raise Unavailable(summary, _RETRY_AFTER) from error
            time.sleep(random.uniform(0, pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _store_failed(
        self, error: StoreError, outcome: Callable[..., Refusal], request: Request
    ) -> Response:
        """Say that a store failed; which one, and what to do, is for the operator's eyes."""
        _log.error("store_failed", request_id=request.id, error=str(error))
        kind = "has no room left" if isinstance(error, FullError) else "does not answer"
        summary = f"a store of the gateway {kind}; the log has it under request id {request.id}"
        return problems.refused(outcome(summary, _RETRY_AFTER), request.id)

    def _finish(
        self,
        route: Route,
        request: Request,
        arrival: Arrival,
        response: Response,
        started: int,
    ) -> Response:
        """Add the headers of every answer, drop the body of a HEAD's, and write the line."""
        cors = self._cors.headers(request.headers.get("origin"), arrival.own)
        headers = {**response.headers, "X-Request-ID": request.id, **cors}
        response.headers = headers
        if response.stream is None:
            sent = len(response.body) if request.method != "HEAD" else 0
            _write_line(route, request, response.status, started, sent)
        elif request.method == "HEAD":
            headers["Content-Type"] = response.content_type
            _close(response.stream)
            response.stream = None
            _write_line(route, request, response.status, started, 0)
        else:
            write = partial(_write_line, route, request, response.status, started)
            response.stream = _counted(response.stream, write)
        return response


def _write_line(route: Route, request: Request, status: int, started: int, sent: int) -> None:
    """Write the canonical line of a request, whose body of so many bytes is sent."""
    log.request(
        log.RequestLine(
            datetime.now(UTC),
            request.method,
            request.url_path,
            route.template,
            status,
            (time.perf_counter_ns() - started) // 1000 / 1000,
            request.id,
            request.principal.name,
            request.peer,
            sent,
        )
    )


class _Counted:
    """A body as a stream, whose line is written when it is closed."""

    def __init__(self, chunks: Iterable[bytes], write: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._iterator = iter(chunks)
        self._write = write
        self._sent = 0
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._iterator)
        self._sent += len(chunk)
        return chunk

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            _close(self._chunks)
            self._write(self._sent)


class _Polled(_Counted):
    """The same of a stream that goes on."""

    def __init__(self, chunks: Polled, write: Callable[[int], None]) -> None:
        super().__init__(chunks, write)
        self.pause = chunks.pause
        self._polled = chunks

    def poll(self) -> bytes | None:
        chunk = self._polled.poll()
        self._sent += len(chunk or b"")
        return chunk


def _counted(stream: Iterable[bytes], write: Callable[[int], None]) -> _Counted:
    return _Polled(stream, write) if isinstance(stream, Polled) else _Counted(stream, write)


def _close(stream: Iterable[bytes]) -> None:
    close = getattr(stream, "close", None)
    if close is not None:
        close()


def _login_mark(request: Request) -> int:
    """Return what tells one login from another."""
    return hash((request.peer, request.headers.get("authorization"), request.body))


def _credentials(request: Request) -> Credentials:
    token = None
    if "access_token=" in request.query:
        tokens = parse_qs(request.query).get("access_token", [None])
        if len(set(tokens)) > 1:
            raise Invalid.parameter("access_token", "is given twice, and differs")
        token = tokens[-1]
    return Credentials(
        request.headers.get("authorization"), token, request.headers, request.peer, request.id
    )
