"""What happens around every operation, shown with operations made for it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import msgspec
import pytest
import structlog

from tams_gateway.auth.chain import Chain
from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import Credentials, DeniedError
from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.health import Health
from tams_gateway.http import pipeline as module
from tams_gateway.http.health import Readiness
from tams_gateway.http.network import Arrival
from tams_gateway.http.pipeline import Pipeline, Reception
from tams_gateway.http.routes import READ, Route
from tams_gateway.http.table import OTHER, UNKNOWN, complete
from tams_gateway.operations.gateway import Gateway, Limits
from tams_gateway.operations.messages import Request, Response
from tams_gateway.settings import ServiceSettings
from tams_gateway.storage.errors import ConflictError, FullError, StoreError

_BASE = "http://localhost:4010"
HERE = Arrival(_BASE, "localhost:4010", "127.0.0.1", _BASE, local=True)


class Token:
    """An auth provider that knows one token, whose bearer may read."""

    challenge = 'Bearer realm="tams"'

    def authenticate(self, credentials: Credentials) -> Principal | None:
        token = credentials.access_token or (credentials.authorization or "").partition(" ")[2]
        if not token:
            return None
        if token != "good":
            raise DeniedError("unknown token")
        return Principal("reader", frozenset({Scope.READ}))

    def check(self) -> Health:
        return Health(True, "")

    def close(self) -> None:
        """Hold nothing."""


class Store:
    """What the pipeline and `/ready` ask of a store."""

    def __init__(self) -> None:
        self.health = Health(True, "works")
        self.asked = 0

    def check(self) -> Health:
        self.asked += 1
        return self.health


class Stream:
    """A body that notes that it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        self.closed += 1


def gateway(store: Store | None = None) -> Gateway:
    return Gateway(
        metadata=cast(Any, store or Store()),
        backends={},
        limits=Limits(),
        service=cast(Any, None),
        now_ns=lambda: 0,
    )


def run(
    operation: Callable[[Gateway, Request], Response] | Route,
    *,
    method: str = "GET",
    headers: Mapping[str, str] = {},
    query: str = "",
    arrival: Arrival = HERE,
    auth: bool = False,
    refusal: Invalid | None = None,
    **service: Any,
) -> Response:
    """Run one request through a pipeline of its own."""
    route = operation
    if not isinstance(route, Route):
        route = Route(method, "/it", route, READ)
    pipeline = Pipeline(gateway(), Chain([Token()] if auth else []), ServiceSettings(**service))
    request = Request(method=method, headers=headers, query=query, base=arrival.base)
    return pipeline(route, Reception(request, arrival, refusal))


def fine(_gateway: Gateway, _request: Request) -> Response:
    return Response(body=b'"fine"')


def raising(error: Exception) -> Callable[[Gateway, Request], Response]:
    def operation(_gateway: Gateway, _request: Request) -> Response:
        raise error

    return operation


def problem(response: Response) -> dict[str, str]:
    return msgspec.json.decode(response.body, type=dict[str, str])


def test_a_sane_request_id_is_returned_and_another_is_replaced() -> None:
    assert "abc-1" == run(fine, headers={"x-request-id": "abc-1"}).headers["X-Request-ID"]
    for odd in ("a b", "", "x" * 129, "ü", "a\n"):
        made = run(fine, headers={"x-request-id": odd}).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{16}", made)


def test_an_error_body_has_the_schema_of_the_spec_and_our_two_members() -> None:
    """R-GEN-10, B24, B25."""
    response = run(raising(Invalid.at("/label", "expected text")), headers={"x-request-id": "id1"})
    body = problem(response)

    assert 400 == response.status
    assert {"type", "summary", "message", "time", "request_id"} == body.keys()
    assert ("bad_request", "/label: expected text", "id1") == (
        body["type"],
        body["summary"],
        body["request_id"],
    )
    assert body["summary"] == body["message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["time"])


def test_an_operation_runs_again_where_another_writer_was_faster() -> None:
    runs: list[int] = []

    def operation(_gateway: Gateway, _request: Request) -> Response:
        runs.append(1)
        if len(runs) < 4:
            raise ConflictError("faster")
        return Response(status=204)

    assert 204 == run(operation).status
    assert 4 == len(runs)


def test_after_some_seconds_of_conflicts_the_answer_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """409 never appears on a path of the spec."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", lambda pause: now.__setitem__(0, now[0] + 0.5))

    response = run(raising(ConflictError("faster")))

    assert 503 == response.status
    assert "unavailable" == problem(response)["type"]
    assert response.headers["Retry-After"].isdigit()
    assert 5 <= now[0] < 6


def test_a_body_that_is_a_stream_is_not_run_twice() -> None:
    route = Route("PUT", "/it", raising(ConflictError("faster")), READ, streams=True)

    assert 503 == run(route, method="PUT").status


@pytest.mark.parametrize(
    ("error", "streams", "status"),
    [
        (StoreError("db at /secret"), False, 503),
        (FullError("disk at /secret"), False, 503),
        (FullError("disk at /secret"), True, 507),
    ],
)
def test_a_store_that_fails_is_for_the_log(error: StoreError, streams: bool, status: int) -> None:
    with structlog.testing.capture_logs() as lines:
        response = run(Route("PUT", "/it", raising(error), READ, streams=streams))

    assert status == response.status
    assert "Retry-After" in response.headers
    assert b"secret" not in response.body
    assert any("secret" in line.get("error", "") for line in lines)


def test_a_bug_is_500_with_its_traceback_in_the_log_alone() -> None:
    with structlog.testing.capture_logs() as lines:
        response = run(raising(ZeroDivisionError("secret")))

    assert 500 == response.status
    assert "internal_error" == problem(response)["type"]
    assert b"secret" not in response.body
    assert [True] == [line["exc_info"] for line in lines if line["event"] == "bug"]


def test_each_request_leaves_one_line() -> None:
    with structlog.testing.capture_logs() as lines:
        run(fine, headers={"x-request-id": "id1"}, query="access_token=good", auth=True)
    [line] = lines

    assert "request" == line["event"]
    assert ("GET", "/it", 200, "id1", "reader", 6) == tuple(
        line[name] for name in ("method", "route", "status", "request_id", "principal", "bytes")
    )
    assert "good" not in repr(line)


def test_a_stream_is_counted_and_closed_once() -> None:
    stream = Stream(b"abc", b"de")
    with structlog.testing.capture_logs() as lines:
        response = run(lambda _gateway, _request: Response(stream=stream))
        assert response.stream is not None
        assert [] == lines
        assert b"abcde" == b"".join(response.stream)
        for _ in range(2):
            cast(Any, response.stream).close()

    assert 1 == stream.closed
    assert [5] == [line["bytes"] for line in lines]


def test_head_closes_the_stream_and_keeps_its_header() -> None:
    """R-GEN-01."""
    stream = Stream(b"abc")
    made = Response(stream=stream, content_type="video/mp2t", headers={"Content-Length": "3"})
    response = run(lambda _gateway, _request: made, method="HEAD")

    assert 1 == stream.closed
    assert response.stream is None
    assert "3" == response.headers["Content-Length"]
    assert "video/mp2t" == response.headers["Content-Type"]


def test_refusals_come_in_order() -> None:
    """401, then 403 for a scope, then 404 for a path, then the rest."""
    write = Route("PUT", "/it", raising(Invalid("body")), frozenset({Scope.WRITE}))
    good = {"authorization": "Bearer good"}

    assert 401 == run(UNKNOWN, auth=True).status
    assert 404 == run(UNKNOWN, auth=True, headers=good).status
    assert 401 == run(write, auth=True).status
    assert 403 == run(write, auth=True, headers=good).status
    assert 400 == run(raising(Invalid("body")), auth=True, headers=good).status


def test_401_names_the_schemes() -> None:
    """R-AUTH-02."""
    for headers in ({}, {"authorization": "Bearer bad"}):
        response = run(fine, auth=True, headers=headers)
        assert (401, 'Bearer realm="tams"') == (
            response.status,
            response.headers["WWW-Authenticate"],
        )


def test_a_token_in_the_query_counts() -> None:
    """R-AUTH-01, R-AUTH-03."""
    assert 200 == run(fine, auth=True, query="limit=1&access_token=good").status
    assert 401 == run(fine, auth=True, query="access_token=bad").status


def test_open_routes_and_signed_requests_need_no_credentials() -> None:
    signed = Route("GET", "/it", fine, READ, admits=lambda _, request: request.query == "signed")

    assert 200 == run(Route("GET", "/it", fine, READ, open=True), auth=True).status
    assert 200 == run(signed, auth=True, query="signed").status
    assert 401 == run(signed, auth=True, query="forged").status


def test_without_providers_credentials_are_not_looked_at() -> None:
    """B20."""
    assert 200 == run(fine, headers={"authorization": "Bearer bad"}).status


def test_an_open_gateway_serves_this_machine_alone() -> None:
    away = Arrival("http://tams.example", "tams.example", "192.0.2.7")
    response = run(fine, arrival=away)

    assert 403 == response.status
    assert "auth_open" in problem(response)["summary"]
    assert 200 == run(fine, arrival=away, auth_open=True).status
    assert 200 == run(fine, arrival=away, auth=True, query="access_token=good").status


def test_a_foreign_page_is_refused_also_without_a_preflight() -> None:
    evil = {"origin": "http://evil.example"}

    assert 403 == run(fine, headers=evil).status
    assert 403 == run(fine, headers=evil, auth_open=True).status
    assert 200 == run(fine, headers=evil, cors_origins=("http://evil.example",)).status
    assert 200 == run(fine, headers=evil, auth=True, query="access_token=good").status


def test_what_the_adapter_found_wrong_is_told_before_anything_else() -> None:
    assert 400 == run(fine, auth=True, refusal=Invalid("Host")).status


def test_errors_have_cors_headers() -> None:
    """B3."""
    response = run(fine, auth=True, headers={"origin": "https://page.example"})

    assert (401, "*") == (response.status, response.headers["Access-Control-Allow-Origin"])


def test_every_path_has_head_options_and_405() -> None:
    table = complete([Route("GET", "/it", fine, READ), Route("PUT", "/it", fine, READ)])["/it"]
    refused = run(table["DELETE"], method="DELETE")
    preflight = run(table["OPTIONS"], method="OPTIONS", auth=True)

    assert 200 == run(table["HEAD"], method="HEAD").status
    assert (405, "GET, HEAD, PUT, OPTIONS") == (refused.status, refused.headers["Allow"])
    assert 405 == run(table[OTHER], method="BREW").status
    assert (204, "GET, HEAD, PUT, OPTIONS") == (
        preflight.status,
        preflight.headers["Access-Control-Allow-Methods"],
    )


def test_ready_names_what_fails_and_asks_once_a_second() -> None:
    now = [100.0]
    store = Store()
    ready = Readiness(lambda: now[0])
    request = Request(method="GET")

    assert 200 == ready(gateway(store), request).status
    store.health = Health(False, "locked", "wait")
    assert 200 == ready(gateway(store), request).status
    now[0] += 1.5
    failing = ready(gateway(store), request)

    assert 503 == failing.status
    assert {"metadata": "locked"} == json.loads(failing.body)["checks"]
    assert 2 == store.asked
