"""Endpoints that fail are told, left alone and found again; others serve meanwhile."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs
from tams_gateway_vast.tables.columns import Table
from tams_gateway_vast.transport.border import Absent, Away, Busy, Refused, Rival
from tams_gateway_vast.transport.cluster import Cluster

from plugins.vast.tests.tables import (
    FAULTS,
    PLAIN,
    cluster,
    connected,
    numbers,
    prepared,
    rows,
    write,
)
from tams_gateway.storage.errors import FullError, StoreError
from tests.servers.vast import Fault, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with prepared() as server:
        yield server


@pytest.fixture
def store(server: Server) -> Iterator[Cluster]:
    with connected(server) as made:
        yield made


@pytest.mark.parametrize("kind", FAULTS)
def test_a_read_outlives_a_fault_of_one_endpoint(server: Server, store: Cluster, kind: str) -> None:
    write(store, 1)
    for command in ("transaction", "data"):
        server.faults = [Fault(kind=kind, command=command)]  # type: ignore[arg-type]
        assert numbers(store) == [1]
    assert [one.ok for one in store.health()].count(False) <= 1


def test_a_cluster_at_its_limit_is_asked_again_a_few_times(server: Server, store: Cluster) -> None:
    transaction = store.begin()
    server.faults = [Fault(kind="slow down", command="rows", times=2)]
    transaction.insert(PLAIN, rows(1))
    assert server.count(command="rows") == 3
    assert store.commit(transaction)
    with connected(server, retries=2) as hasty:
        server.faults = [Fault(kind="slow down", command="rows", times=10)]
        transaction = hasty.begin()
        server.forget()
        with pytest.raises(Busy, match="at its limit"):
            transaction.insert(PLAIN, rows(2))
        assert server.count(command="rows") == 2
        assert hasty.rollback(transaction.txid)
        assert all(one.ok for one in hasty.health())


@contextmanager
def answering(status: int, body: bytes = b"", tls: Path | None = None) -> Iterator[str]:
    """Run what answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [
        (200, Away, "is this an endpoint of VAST Database?"),
        (204, Away, "does not reach it"),
        (301, Away, "does not reach it"),
        (403, StoreError, "check access_key, secret_key"),
        (405, StoreError, "is this VAST Database"),
        (408, Away, "see the log of the cluster"),
        (409, Rival, "tried again"),
        (412, Away, "does not reach it"),
        (413, Refused, "bounds the size"),
        (429, Busy, "bounds the rate"),
        (504, Away, "does not reach it"),
        (507, FullError, "make room"),
    ],
)
def test_every_answer_becomes_an_error_that_says_what_to_do(
    status: int, error: type[StoreError], remedy: str
) -> None:
    body = b"" if status == 204 else b"<html><body>no</body></html>"
    with answering(status, body) as url, closing(cluster([url], retries=2, patience=0.1)) as store:
        with pytest.raises(StoreError, match=rf"{url}: begin: .*; .*{remedy}") as caught:
            store.begin()
        assert type(caught.value) is error
        assert not store.check().ok


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key and the certificate of `localhost`, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_the_certificate_of_an_endpoint_is_checked(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with answering(409, tls=certificate) as url:
        for options in ({"ca_bundle": str(certificate)}, {"verify": False}):
            with closing(cluster([url], **options)) as store, pytest.raises(Rival):
                store.begin()
        for options in ({}, {"ca_bundle": "nowhere.pem"}):
            store = cluster([url], **options)
            with closing(store), pytest.raises(Away, match="; check ca_bundle"):
                store.begin()


def test_what_began_an_error_is_told_and_not_what_came_before(server: Server) -> None:
    with connected(server, patience=0.1) as store:
        server.stop(0)
        server.stop(1)
        try:
            raise KeyError("before")
        except KeyError:
            with pytest.raises(Away, match=r"begin: .*Connection refused; is the cluster up"):
                store.begin()


def test_wrong_credentials_are_told(server: Server) -> None:
    with closing(cluster(server.endpoints)) as store, pytest.raises(StoreError, match="secret_key"):
        store.begin()


def test_a_name_that_is_not_there_is_told(server: Server, store: Cluster) -> None:
    gone = Table("gone", PLAIN.columns)
    with pytest.raises(Absent, match=r"select from gone: 404 .*; check bucket and schema"):
        store.read(lambda transaction: transaction.select(gone, ["name"]))
    with connected(server, bucket="other") as other:
        transaction = other.begin()
        with pytest.raises(Absent, match=r"make schema other/tams: 404"):
            transaction.create_schema()


def test_an_endpoint_that_is_gone_is_left_alone_and_found_again(
    server: Server, store: Cluster
) -> None:
    with capture_logs() as logged:
        server.stop(0)
        for _ in range(20):
            numbers(store)
        assert [one.endpoint for one in server.requests] == [1] * 60
        assert [one.ok for one in store.health()] == [False, True]
        health = store.check()
        assert health.ok
        first, second = server.endpoints
        refused = f"vastdb/tams at {first}: begin: [Errno 111] Connection refused (since "
        assert health.detail.startswith(refused)
        assert health.detail.endswith(f"), {second}: vast 5.4.0.0")
        assert health.remedy == "is the cluster up?"
        server.start(0)
        server.forget()
        wait_until(
            lambda: numbers(store) == [] and {one.endpoint for one in server.requests} == {0, 1}
        )
        assert [one.ok for one in store.health()] == [True, True]
    assert [one["event"] for one in logged] == ["endpoint_away", "endpoint_back"]


def wait_until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends
        threading.Event().wait(0.02)


def test_where_all_are_away_reads_wait_as_long_as_they_may(server: Server) -> None:
    with connected(server, patience=0.6) as store:
        for number in range(2):
            server.stop(number)
        began = time.monotonic()
        with pytest.raises(Away, match="Connection refused; is the cluster up"):
            numbers(store)
        assert 0.2 < time.monotonic() - began < 2
        assert not store.check().ok
        server.start(1)
        assert numbers(store) == []


def test_a_hanging_endpoint_costs_one_timeout(server: Server) -> None:
    with connected(server, timeout=0.3) as store:
        server.faults = [Fault(kind="hang", command="data", seconds=1)]
        began = time.monotonic()
        assert numbers(store) == []
        assert 0.3 <= time.monotonic() - began < 0.9
        hung, left = server.requests[1:3]
        assert (hung.command, left.method) == ("data", "DELETE")
        assert hung.endpoint != left.endpoint
        server.faults = [Fault(kind="hang", command="rows", seconds=1)]
        transaction = store.begin()
        with pytest.raises(Away, match="timed out"):
            transaction.insert(PLAIN, rows(1))


def test_an_endpoint_that_may_be_back_is_tried_by_one_request(
    server: Server, store: Cluster
) -> None:
    server.faults = [
        Fault(kind="unavailable", endpoint=0),
        Fault(kind="hang", endpoint=0, at=2, seconds=1.0),
    ]
    numbers(store)
    numbers(store)
    store.endpoints.all[0].away_until = 0.0
    server.forget()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: numbers(store), range(8))) == [[]] * 8
    assert sum(one.endpoint == 0 and one.method == "POST" for one in server.requests[:12]) == 1


def test_an_endpoint_that_refuses_is_not_away(server: Server, store: Cluster) -> None:
    write(store, 1)
    first, second = store.begin(), store.begin()
    rival = first.select(PLAIN, ["$row_id", "name"])
    first.update(PLAIN, rival)
    server.faults = [Fault(kind="unavailable", command="rows")]
    for error in (Away, Rival):
        with pytest.raises(error):
            second.update(PLAIN, rival)
        assert bool(second.endpoint.error) == (error is Away)


def test_a_host_that_takes_no_connection_costs_one_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        port = deaf.getsockname()[1]
        full = [socket.socket() for _ in range(4)]
        for one in full:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        with closing(cluster([f"http://127.0.0.1:{port}"], timeout=0.2)) as store:
            began = time.monotonic()
            with pytest.raises(Away, match="timed out"):
                store.begin()
            assert time.monotonic() - began < 1
        for one in full:
            one.close()


def test_the_sdk_keeps_quiet(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with connected(server, patience=10.0) as store:
        for kind in FAULTS:
            server.faults = [Fault(kind=kind)]  # type: ignore[arg-type]
            numbers(store)
    assert {one.name.split(".")[0] for one in caplog.records} == {"urllib3"}
    assert {one.levelno for one in caplog.records} == {logging.DEBUG}
