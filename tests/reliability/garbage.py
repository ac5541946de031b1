"""What is no HTTP, or only half of it, sent to a real server, which must stay as it was."""

import random
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Final

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tests.servers.process import Serve

TAG: Final = "smuggled"

FRAMINGS: Final[dict[str, tuple[str, ...]]] = {
    "both lengths": ("Content-Length: {size}", "Transfer-Encoding: chunked"),
    "both lengths, turned": ("Transfer-Encoding: chunked", "Content-Length: {size}"),
    "two lengths": ("Content-Length: 5", "Content-Length: {size}"),
    "a list of lengths": ("Content-Length: 5, {size}",),
    "a signed length": ("Content-Length: +5",),
    "a hexadecimal length": ("Content-Length: 0x5",),
    "an endless length": ("Content-Length: " + "9" * 40,),
    "a negative length": ("Content-Length: -5",),
    "a length in words": ("Content-Length: five",),
    "a length with a space": ("Content-Length : 5",),
    "chunked behind a space": ("Transfer-Encoding : chunked",),
    "chunked in a folded line": ("Transfer-Encoding:\r\n chunked",),
    "chunked twice": ("Transfer-Encoding: chunked, chunked",),
    "chunked, then not": ("Transfer-Encoding: chunked, identity",),
    "nearly chunked": ("Transfer-Encoding: xchunked",),
    "chunked behind a tab": ("Transfer-Encoding: \x0bchunked",),
    "another coding": ("Transfer-Encoding: gzip",),
    "a line feed in a field": ("X: a\nTransfer-Encoding: chunked", "Content-Length: {size}"),
    "a NUL in a field": ("X: a\x00b", "Content-Length: {size}"),
    "a line without a colon": ("nonsense", "Content-Length: {size}"),
}
"""Headers that say nothing certain of a body's length: a proxy may read them otherwise than we."""

CHUNKINGS: Final = (
    b"-5\r\n",
    b"FFFFFFFFFFFFFFFFFF\r\n",
    b"5 \r\nabcde\r\n",
    b"5\nabcde\r\n",
    b"0x5\r\nabcde\r\n",
    b"5\r\nabcdefgh\r\n",
    b"5;\n\r\nabcde\r\n",
    b"zz\r\n",
    b"\r\n",
    b"5;" + b"x" * 100_000 + b"\r\nabcde\r\n",
)
"""Beginnings of chunked bodies that are none."""


class Garbage:
    """A server with one flow, and everything that is sent to it."""

    def __init__(self, server: Serve, seed: int) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._client = Client(Http(f"http://127.0.0.1:{server.port}"))
        self.flow = Ingest(self._client).flow(tags={})
        self._path = f"/flows/{self.flow}/tags/{TAG}"
        body = b'"yes"'
        self._inner = self._request("PUT", self._path, body, f"Content-Length: {len(body)}")

    def run(self, requests: int, done: Callable[[int], None] = lambda _: None) -> None:
        """Send every shape once, then so many requests that are broken at random."""
        with closing(self._client):
            workers = self._server.workers()
            for name, shape in self.shapes():
                self.judge(name, self.send(shape))
            for number in range(requests):
                broken = self._broken()
                self.judge(repr(broken[:300]), self.send(broken, self._random.random() < 0.5))
                done(number + 1)
            assert self._server.workers() == workers, "a worker was replaced"

    def judge(self, name: str, answers: bytes) -> None:
        """Insist on no failure, on nothing smuggled, and on a server that is alive."""
        for found in re.findall(rb"HTTP/1\.[01] (\d+)", answers):
            assert int(found) < 500 or found in (b"501", b"505"), f"{name}: {answers[:500]!r}"
        answer = self._client.get(f"/flows/{self.flow}/tags")
        assert (answer.status, answer.json) == (200, {}), f"{name}: {answers[:500]!r}"

    def send(self, data: bytes, reset: bool = False) -> bytes:
        """Send bytes on a connection of their own; return what comes until it ends.

        With `reset` the answer is not waited for.
        """
        received = b""
        with (
            socket.create_connection(("127.0.0.1", self._server.port), timeout=10) as raw,
            suppress(OSError),  # It may be closed before all is sent, or reset.
        ):
            raw.sendall(data)
            if reset:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return b""
            raw.shutdown(socket.SHUT_WR)
            while piece := raw.recv(65536):
                received += piece
        return received

    def shapes(self) -> Iterator[tuple[str, bytes]]:
        """Yield requests whose end nobody can tell for certain, each with another one behind."""
        path = f"/flows/{self.flow}/label"
        for name, fields in FRAMINGS.items():
            for body in (b"0\r\n\r\n", b'5\r\n"abc"\r\n0\r\n\r\n'):
                lines = [line.format(size=len(body) + len(self._inner)) for line in fields]
                yield name, self._request("PUT", path, body + self._inner, *lines)
        for body in CHUNKINGS:
            data = self._request("PUT", path, body + self._inner, "Transfer-Encoding: chunked")
            yield repr(body[:20]), data
        huge = [f"X-{number}: {'x' * 900}" for number in range(300)]
        yield "many fields", self._request("GET", "/service", b"", *huge)
        yield "a huge field", self._request("GET", "/service", b"", "X: " + "x" * 300_000)
        yield "a huge target", self._request("GET", "/" + "x" * 300_000, b"")
        yield "no version", b"GET /service\r\n\r\n"
        yield "HTTP/0.9 to 3", b"".join(b"GET / HTTP/%d.9\r\n\r\n" % n for n in range(4))
        yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
        yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50)

    def _request(self, method: str, target: str, body: bytes, *fields: str) -> bytes:
        lines = (f"{method} {target} HTTP/1.1", "Host: localhost", *fields)
        kind = "Content-Type: application/json"
        return "\r\n".join((*lines, kind, "", "")).encode("latin-1") + body

    def _broken(self) -> bytes:
        """Return a good request with some bytes changed, cut out, doubled, or missing."""
        body = b'"text"'
        framing = (f"Content-Length: {len(body)}",)
        if self._random.random() < 0.5:
            body, framing = b'6\r\n"text"\r\n0\r\n\r\n', ("Transfer-Encoding: chunked",)
        data = self._request("PUT", f"/flows/{self.flow}/label", body, *framing)
        for _ in range(self._random.randrange(1, 4)):
            at = self._random.randrange(len(data) + 1)
            match self._random.randrange(4):
                case 0:
                    data = data[:at] + self._random.randbytes(1) + data[at + 1 :]
                case 1:
                    data = data[:at] + data[at + self._random.randrange(20) :]
                case 2:
                    data = data[:at] + data[max(0, at - 30) :]
                case _:
                    data = data[: at + 1]
        return data


def pipelined(server: Serve, number: int) -> list[int]:
    """Send many requests in one piece and return the statuses of the answers."""
    request = b"GET /service HTTP/1.1\r\nHost: localhost\r\n"
    sent = (request + b"\r\n") * (number - 1) + request + b"Connection: close\r\n\r\n"
    received = b""
    with server.open_socket(sent) as raw:
        while piece := raw.recv(65536):
            received += piece
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+)", received)]
