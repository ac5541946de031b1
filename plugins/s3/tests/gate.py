"""A door before an S3 server: what comes is passed on, or met by one of the faults of a server."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import urlsplit


def _answer(status: str, kind: str, body: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


def _refusal(status: str, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return _answer(status, "application/xml", body)


FAULTS: Final[dict[str, bytes | None]] = {
    "away": b"",
    "slow": None,
    "full": _refusal("507 Insufficient Storage", "InsufficientStorage"),
    "refusing": _refusal("403 Forbidden", "AccessDenied"),
    "failing": _answer("500 Internal Server Error", "text/plain", "oops"),
    "page": _answer("200 OK", "text/html", "<html><body><p>Sign in</body></html>"),
    "truncated": _answer("200 OK", "application/xml", "<?xml version='1.0'?><Result><De"),
    "cut": _answer("200 OK", "application/xml", "<Result>", 1000),
}
"""What is answered; nothing at all (None), or the connection is closed (no bytes)."""


class Gate(socketserver.ThreadingTCPServer):
    """Open at first."""

    daemon_threads = True
    fault: str | None = None
    hold_after: int | None = None
    """From so many bytes on, each connection to the server stands still."""

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Visitor)
        parts = urlsplit(upstream)
        self.upstream = (str(parts.hostname), int(parts.port or 80))
        self.ended = threading.Event()
        self.holding = threading.Event()
        self.passing: set[socket.socket] = set()
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def shut(self, fault: str) -> None:
        """Meet whoever comes with a fault, and end the connections that are open."""
        self.fault = fault
        for one in tuple(self.passing):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Pass on what comes again."""
        self.fault = None


class _Visitor(socketserver.BaseRequestHandler):
    server: Gate
    request: socket.socket

    def handle(self) -> None:
        with suppress(OSError):
            if self.server.fault is None:
                self._pass_on()
            else:
                self._fail(FAULTS[self.server.fault])

    def _fail(self, answer: bytes | None) -> None:
        if answer is None:
            self.server.ended.wait(60)
        elif answer:
            self.request.recv(65536)
            self.request.sendall(answer)
            self.request.shutdown(socket.SHUT_WR)
            while self.request.recv(65536):
                pass

    def _pass_on(self) -> None:
        with socket.create_connection(self.server.upstream) as upstream:
            back = threading.Thread(target=_pump, args=(upstream, self.request), daemon=True)
            back.start()
            self.server.passing.add(self.request)
            self._pump_in(upstream)
            back.join()
            self.server.passing.discard(self.request)

    def _pump_in(self, upstream: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := self.request.recv(65536):
                passed += len(data)
                if self.server.hold_after is not None and passed > self.server.hold_after:
                    self.server.holding.set()
                    self.server.ended.wait(60)
                    return
                upstream.sendall(data)
        with suppress(OSError):
            upstream.shutdown(socket.SHUT_WR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def gate(upstream: str) -> Iterator[Gate]:
    """Open a gate before a server."""
    with Gate(upstream) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield made
        finally:
            made.ended.set()
            made.shutdown()
            thread.join()
