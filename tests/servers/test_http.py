"""HTTP as each real server speaks it: what an in-process client cannot show."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tams_gateway.testing.client import Answer
from tests.servers.process import SERVERS, Serve, read, serving

CONFIG = """
[service]
trusted_proxies = ["127.0.0.2"]
[limits]
body_bytes = 100000
"""

FLOW = "/flows/10000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module", params=SERVERS)
def serve(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """A server at work with one flow, the same for all tests of the module."""
    folder = tmp_path_factory.mktemp("serve")
    (folder / "gateway.toml").write_text(CONFIG)
    with serving(folder, "--config", "gateway.toml", "--server", request.param) as running:
        assert (made := put_json(running, FLOW, flow())).status == 201, made.body
        yield running


def flow() -> dict[str, object]:
    return {
        "id": FLOW.rpartition("/")[2],
        "source_id": "10000000-0000-4000-8000-000000000002",
        "format": "urn:x-nmos:format:data",
        "codec": "application/json",
        "container": "application/json",
        "essence_parameters": {"data_type": "urn:x-tam:data:test"},
    }


def put_json(serve: Serve, target: str, document: object) -> Answer:
    body = json.dumps(document).encode()
    return serve.request("PUT", target, body, {"Content-Type": "application/json"})


def test_brackets_in_the_query_may_be_raw(serve: Serve) -> None:
    """B16: as the clients of the field send them."""
    for query in ("[0:0_10:0)", "(5:0_", "_5:0]", "()", "[1:0]"):
        assert 200 == serve.request("GET", f"{FLOW}/segments?timerange={query}").status
    assert 400 == serve.request("GET", f"{FLOW}/segments?timerange=[bad)").status


def test_bytes_above_ascii_in_the_query_are_taken_as_they_are(serve: Serve) -> None:
    request = "GET /flows?label=ü HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for encoding in ("utf-8", "latin-1"):
        with serve.open_socket(request.encode(encoding)) as raw:
            assert int(raw.recv(1000).split()[1]) in (200, 400)


@pytest.mark.parametrize(
    "name", ["a/b", "a b", "ü", "%2F", "instances", "a/instances", "?#;,", "."]
)
def test_tag_names_are_any_text(serve: Serve, name: str) -> None:
    """R-GEN-06: an encoded slash belongs to the name, under every server."""
    path = f"{FLOW}/tags/{_encoded(name)}"

    assert 204 == put_json(serve, path, name).status
    assert name == json.loads(serve.request("GET", path).body)
    assert name == json.loads(serve.request("GET", f"{FLOW}/tags").body)[name]
    assert 204 == serve.request("DELETE", path).status


@pytest.mark.parametrize("name", ["a/b", "ü/ö", "x" * 2000, "a//b", "%2F", "../.."])
def test_object_ids_are_any_text(serve: Serve, name: str) -> None:
    """R-GEN-06: also before `/instances`; long ones fit into a request line."""
    request = {"object_ids": [name], "content_type": "application/json"}
    posted = serve.request(
        "POST",
        f"{FLOW}/storage",
        json.dumps(request).encode(),
        {"Content-Type": "application/json"},
    )
    assert 201 == posted.status, posted.body
    put_url = json.loads(posted.body)["media_objects"][0]["put_url"]["url"]
    put = serve.request("PUT", _target(put_url), b"hello", {"Content-Type": "application/json"})
    assert put.status in (200, 201, 204), put.body
    start = sum(map(ord, name))
    segment = json.dumps({"object_id": name, "timerange": f"[{start}:0_{start + 1}:0)"}).encode()
    assert (
        201
        == serve.request(
            "POST", f"{FLOW}/segments", segment, {"Content-Type": "application/json"}
        ).status
    )

    found = serve.request("GET", f"/objects/{_encoded(name)}")

    assert 200 == found.status
    assert name == json.loads(found.body)["id"]
    assert 405 == serve.request("GET", f"/objects/{_encoded(name)}/instances").status


def test_malformed_paths_are_refused(serve: Serve) -> None:
    for path in ("/objects/%ff", "/objects/%C3%28", "/flows/%zz", "/nowhere", "//", "/flows/"):
        answer = serve.request("GET", path)
        assert answer.status in (400, 404), path
        assert answer.status == 400 or json.loads(answer.body)["type"] == "not_found"


def test_a_header_above_64_kib_is_refused_by_the_gateway(serve: Serve) -> None:
    answers = [
        serve.request("GET", "/service", headers={"X-Large": "x" * 66_000}),
        serve.request("GET", "/service", headers={f"X-{n}": "x" * 1000 for n in range(70)}),
        serve.request("GET", f"/objects/{'x' * 60_000}", headers={"X-Large": "x" * 6_000}),
    ]

    assert [431, 431, 431] == [answer.status for answer in answers]
    assert {"headers_too_large"} == {json.loads(answer.body)["type"] for answer in answers}


def test_a_body_above_the_limit_is_refused_and_the_connection_stays_sane(serve: Serve) -> None:
    """413, with a length and without (chunked); what follows on the connection is answered."""
    large = b'"' + b"x" * 200_000 + b'"'
    headers = {"Content-Type": "application/json"}
    for body in (large, iter([large[:50_000], large[50_000:]])):
        with serve.connection() as connection:
            connection.request("PUT", f"{FLOW}/label", body, headers)
            answer = read(connection.getresponse())
            connection.request("GET", f"{FLOW}/label")
            after = read(connection.getresponse())

        assert 413 == answer.status
        assert "too_large" == json.loads(answer.body)["type"]
        assert (200, b'""') == (after.status, after.body)


def test_a_chunked_body_is_read(serve: Serve) -> None:
    headers = {"Content-Type": "application/json"}
    answer = serve.request("PUT", f"{FLOW}/description", iter([b'"in ', b'chunks"']), headers)

    assert 204 == answer.status
    assert b'"in chunks"' == serve.request("GET", f"{FLOW}/description").body


CUT = f"PUT {FLOW}/tags/cut HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_a_body_that_is_cut_changes_nothing(serve: Serve) -> None:
    _send_and_leave(serve, CUT + 'Content-Length: 100\r\n\r\n"whole"')

    assert 404 == serve.request("GET", f"{FLOW}/tags/cut").status


def test_a_chunked_body_that_is_cut_changes_nothing(serve: Serve) -> None:
    """granian gives its app no means to tell such a body from a whole one."""
    _send_and_leave(serve, CUT + 'Transfer-Encoding: chunked\r\n\r\n7\r\n"whole"\r\n')

    if "granian" not in serve.request("GET", "/health").headers.get("server", ""):
        assert 404 == serve.request("GET", f"{FLOW}/tags/cut").status


def test_connections_are_kept(serve: Serve) -> None:
    with serve.connection() as connection:
        for _ in range(3):
            connection.request("GET", "/service")
            assert 200 == read(connection.getresponse()).status
            opened = connection.sock
            assert opened is not None
            connection.request("HEAD", "/service")
            assert 200 == read(connection.getresponse()).status
            assert opened is connection.sock


def test_head_has_the_header_of_get(serve: Serve) -> None:
    """R-GEN-01."""
    for path in ("/service", FLOW, "/flows?limit=1", "/nowhere", "/health"):
        get, head = serve.request("GET", path), serve.request("HEAD", path)
        varying = {"date", "x-request-id"}

        assert get.status == head.status
        assert _without(get.headers, varying) == _without(head.headers, varying)
        assert b"" == head.body


def test_a_preflight_needs_no_credentials_and_errors_have_cors_headers(serve: Serve) -> None:
    """G-01, B3."""
    origin = {"Origin": "http://localhost:3000"}
    ask = {**origin, "Access-Control-Request-Method": "PUT"}
    preflight = serve.request("OPTIONS", FLOW, headers=ask)
    error = serve.request("GET", "/nowhere", headers=origin)

    assert preflight.status in (200, 204)
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert "7200" == preflight.headers["access-control-max-age"]
    assert "http://localhost:3000" == error.headers["access-control-allow-origin"]
    assert "Link" in error.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in error.headers


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}],
)
def test_a_web_page_does_not_reach_an_open_gateway(serve: Serve, headers: dict[str, str]) -> None:
    """Neither by DNS rebinding nor by a request that needs no preflight."""
    answers = [
        serve.request("GET", "/service", headers=headers),
        serve.request(
            "POST", "/service", b'{"name":"x"}', {"Content-Type": "text/plain", **headers}
        ),
    ]

    assert [403, 403] == [answer.status for answer in answers]


def test_forwarded_headers_count_from_trusted_proxies_alone(serve: Serve) -> None:
    """B1, B29: the peer 127.0.0.2 is trusted here, 127.0.0.1 is not."""
    sent = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "localhost:8443",
        "X-Forwarded-For": "127.0.0.9",
        "X-Forwarded-Prefix": "/tams",
    }
    forwarded = {"Forwarded": 'for="127.0.0.9:5";proto=https;host="localhost:8443"'}

    assert f"<http://127.0.0.1:{serve.port}/flows" in _link(serve, "127.0.0.1", sent)
    assert "<https://localhost:8443/tams/flows" in _link(serve, "127.0.0.2", sent)
    assert "<https://localhost:8443/flows" in _link(serve, "127.0.0.2", forwarded)
    assert "403" in _link(serve, "127.0.0.2", {**sent, "X-Forwarded-For": "192.0.2.7"})


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"GET /service HTTP/1.1\r\nHost: loc",
        b"PUT /flows/x/label HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nhalf",
        b"PUT /media/main/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nhalf",
    ],
    ids=["idle", "half a header", "half a body", "half an upload"],
)
def test_50_half_sent_connections_keep_nobody_waiting(serve: Serve, half: bytes) -> None:
    opened = [serve.open_socket(half) for _ in range(50)]
    try:
        for _ in range(3):
            started = time.monotonic()
            assert 200 == serve.request("GET", "/service").status
            assert time.monotonic() - started < 1
    finally:
        for one in opened:
            one.close()


def test_many_writers_of_one_flow_are_all_served(serve: Serve) -> None:
    """32 clients set a tag each, all at once: all get 204, and all tags are there."""
    together = threading.Barrier(32)

    def put(number: int) -> int:
        together.wait()
        return put_json(serve, f"{FLOW}/tags/writer{number}", str(number)).status

    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(put, range(32)))

    assert [204] * 32 == statuses
    tags = json.loads(serve.request("GET", f"{FLOW}/tags").body)
    assert {f"writer{number}" for number in range(32)} <= tags.keys()


def test_each_request_leaves_one_line_without_credentials(serve: Serve) -> None:
    headers = {"X-Request-ID": "known-1", "Authorization": "Bearer s3cret"}
    answer = serve.request("GET", "/service?access_token=s3cret", headers=headers)
    end = time.monotonic() + 5
    while b"known-1" not in serve.log.read_bytes() and time.monotonic() < end:
        time.sleep(0.02)
    log = serve.log.read_text()
    [line] = [json.loads(one) for one in log.splitlines() if "known-1" in one]

    assert "known-1" == answer.headers["x-request-id"]
    assert ("request", "GET", "/service", 200) == tuple(
        line[name] for name in ("event", "method", "path", "status")
    )
    assert len(answer.body) == line["bytes"]
    assert {"timestamp", "level", "route", "ms", "principal", "peer"} <= line.keys()
    assert "s3cret" not in log


def _link(serve: Serve, peer: str, headers: dict[str, str]) -> str:
    """Return the Link of a first page as a peer sees it, or the status of a refusal."""
    second = {**flow(), "id": "10000000-0000-4000-8000-000000000003"}
    put_json(serve, f"/flows/{second['id']}", second)
    with serve.connection() as connection:
        connection.source_address = (peer, 0)
        connection.request("GET", "/flows?limit=1", headers=headers)
        answer = read(connection.getresponse())
    return answer.headers.get("link", str(answer.status))


def _send_and_leave(serve: Serve, request: str) -> None:
    with serve.open_socket(request.encode()) as raw:
        raw.shutdown(socket.SHUT_WR)
        raw.recv(1000)


def _encoded(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())


def _target(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def _without(headers: dict[str, str], names: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


SMUGGLED = b"DELETE /flows/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("split", [False, True], ids=["in one piece", "header in two pieces"])
def test_a_body_behind_an_offer_to_upgrade_is_never_a_request(serve: Serve, split: bool) -> None:
    """A proxy that lets the first request pass has not seen the second one."""
    head = b"POST /service HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    rest = b"Content-Length: %d\r\n\r\n" % len(SMUGGLED)
    with serve.open_socket(head if split else head + rest) as raw:
        if split:
            time.sleep(0.2)
            raw.sendall(rest)
        time.sleep(0.2)
        raw.sendall(SMUGGLED)
        raw.settimeout(2)
        assert b" 400 " in raw.recv(10_000).split(b"\r\n")[0]

    assert "/flows/smuggled" not in serve.log.read_text()


def test_an_offer_to_upgrade_is_declined_in_silence(serve: Serve) -> None:
    """Java's client makes it with every first request."""
    headers = {
        "Content-Type": "application/json",
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
    }
    assert 200 == serve.request("POST", "/service", b'{"name": "Studio J"}', headers).status
    assert b"Studio J" in serve.request("GET", "/service").body


def test_a_target_of_any_length_is_answered(serve: Serve) -> None:
    """431 by uvicorn and gunicorn; granian has an answer of its own, without a body."""
    with serve.open_socket(b"GET /service?%s HTTP/1.1\r\nHost: l\r\n\r\n" % (b"a" * 70_000)) as raw:
        status = raw.recv(100).split(b" ")[1]

    assert status in (b"431", b"414")
    assert 200 == serve.request("GET", "/service").status


def test_connections_that_are_kept_open_lock_nobody_out(serve: Serve) -> None:
    with ExitStack() as closing:
        for _ in range(200):
            connection = closing.enter_context(serve.connection())
            connection.request("GET", "/health")
            assert connection.getresponse().read()
