"""One POST to a receiver, however it behaves."""

import http.client
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tams_gateway_events.addresses import Guard
from tams_gateway_events.http import Client

from .receiver import Answer, Receiver

LOCAL = Guard(["127.0.0.0/8"])
TIMEOUT = 0.6


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(LOCAL, TIMEOUT, per_receiver=2)
    yield client
    client.close()


def test_any_2xx_is_a_success_and_nothing_else(client: Client) -> None:
    """R-WHK-23; redirects are not followed."""
    with Receiver() as receiver:
        for status in (200, 201, 202, 204, 299, 301, 302, 307, 400, 404, 410, 429, 500, 503):
            sent = Answer(status, {"Location": f"{receiver.url}/elsewhere"})
            receiver.behaviour = lambda _, sent=sent: sent
            answer = client.post(receiver.url, {}, b"{}")
            assert (answer.status, answer.ok) == (status, 200 <= status < 300)
        assert {one.path for one in receiver.met} == {"/hook"}


def test_connections_are_kept(client: Client) -> None:
    ports = set()
    with Receiver() as receiver:
        for _ in range(3):
            assert client.post(receiver.url, {}, b"{}").ok
        server = receiver._server
        original = server.verify_request
        server.verify_request = lambda *one: ports.add(one[1]) or original(*one)  # type: ignore
        assert client.post(receiver.url, {}, b"{}").ok
    assert not ports


@pytest.mark.parametrize(
    "answer", [Answer(pause=30), Answer(body=b"x", trickle=0.05)], ids=["hangs", "trickles"]
)
def test_an_attempt_takes_no_longer_than_it_may(client: Client, answer: Answer) -> None:
    with Receiver(lambda _: answer) as receiver:
        began = time.monotonic()
        client.post(receiver.url, {}, b"{}")
        assert time.monotonic() - began < TIMEOUT + 1


def test_a_receiver_that_says_nothing_fails(client: Client) -> None:
    with Receiver(lambda _: Answer(pause=30)) as receiver:
        assert "no whole answer within 0.6 s" in client.post(receiver.url, {}, b"{}").error
    with Receiver(lambda _: Answer(0)) as receiver:
        assert client.post(receiver.url, {}, b"{}").error
    assert "cannot connect" in client.post(receiver.url, {}, b"{}").error
    assert "is not known" in client.post("http://no-such-host.invalid/", {}, b"{}").error


def test_a_huge_answer_is_not_read(client: Client) -> None:
    """64 KiB are read, and the connection is given up."""
    sent = Answer(headers={"Content-Length": str(10**9)}, body=b"x" * 2**20)
    with Receiver(lambda _: sent) as receiver:
        assert client.post(receiver.url, {}, b"{}").ok
        receiver.behaviour = lambda _: Answer()
        assert client.post(receiver.url, {}, b"{}").ok


def test_retry_after_is_understood(client: Client) -> None:
    with Receiver() as receiver:

        def asked(value: str) -> float | None:
            receiver.behaviour = lambda _: Answer(503, {"Retry-After": value})
            return client.post(receiver.url, {}, b"{}").retry_after

        assert asked("7") == 7.0
        assert asked("soon") is None
        assert asked("-3") is None
        dated = asked(formatdate(time.time() + 100, usegmt=True))
        assert dated is not None
        assert 95 < dated <= 100
        assert asked(formatdate(0, usegmt=True)) == 0.0


def test_garbage_is_a_failure(client: Client) -> None:
    """Whatever bytes come back, in as many answers as there are."""
    draw = random.Random(3)
    heads = (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 No\r\nRetry-After: ")
    texts = [draw.choice(heads) + draw.randbytes(draw.randrange(40)) for _ in range(60)]
    dates = (b"Mon, 01 Jan 0001 00:00:00", b"9" * 400, b"\xb2", b"Fri, 99 Foo 99999 00:00:00 GMT")
    texts += [heads[3] + date + b"\r\n\r\n" for date in dates]
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for text in texts:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(text)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        for text in texts:
            answer = client.post(url, {}, b"{}")
            assert answer.text
            assert not answer.ok or text.startswith(heads[2])
        thread.join()


def test_all_attempts_end_when_they_are_told_to(client: Client) -> None:
    patient = Client(LOCAL, 30, per_receiver=2)
    with Receiver(lambda _: Answer(pause=30)) as receiver:
        ended = threading.Event()

        def send() -> None:
            patient.post(receiver.url, {}, b"{}")
            ended.set()

        thread = threading.Thread(target=send)
        thread.start()
        while not receiver.met:
            time.sleep(0.01)
        patient.abort()
        assert ended.wait(5)
        thread.join()
    patient.close()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A receiver behind TLS with a certificate of its own for `localhost`."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    _certify(key, certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(http.client.NO_CONTENT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Some do not trust it."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1], certificate
    server.shutdown()
    thread.join()
    server.server_close()


def _certify(key_file: Path, certificate_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def test_tls_is_verified(client: Client, tls: tuple[int, Path]) -> None:
    port, certificate = tls
    assert "certificate verify failed" in client.post(f"https://localhost:{port}/", {}, b"").error
    trusting = Client(LOCAL, 5, 1, str(certificate))
    assert trusting.post(f"https://localhost:{port}/", {}, b"").status == 204
    assert "mismatch" in trusting.post(f"https://127.0.0.1:{port}/", {}, b"").error
    trusting.close()
