"""HTTP/1.1 on bare sockets: a thread for each connection, and as little work as can be.

The parser of `http.server` costs more than most of our answers do, and tests pay for it.
"""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from tests.servers.vast.calls import Answer, Request

Handle = Callable[[Request], tuple[Answer, bool]]
"""Answers a request; True: only half of the answer is to be sent. Raises `Closed`."""

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}
_HEAD: Final = 1 << 14
_CHUNK: Final = 1 << 18


class Closed(Exception):
    """The connection is to be closed without an answer."""


class Listener:
    """One endpoint: it listens until it is closed, and can be opened again at the same port."""

    def __init__(self, number: int, host: str, handle: Handle) -> None:
        self.number = number
        self.host = host
        self.port = 0
        self._handle = handle
        self._socket: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def open(self, port: int = 0) -> None:
        """Listen at a port, at a free one for 0. Raises `OSError` where it is taken."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, port or self.port))
            listening.listen(128)
        except OSError:
            listening.close()
            raise
        self.port = listening.getsockname()[1]
        self._socket = listening
        name = f"vast-{self.number}"
        threading.Thread(target=self._accept, args=(listening,), name=name, daemon=True).start()

    def close(self) -> None:
        """Refuse connections, and cut those that are there."""
        listening, self._socket = self._socket, None
        if listening is not None:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            if self._socket is not listening:
                self._forget(connection)
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that goes away is no error of ours.
        try:
            with suppress(OSError, Closed):
                for method, target, headers, body in _requests(connection):
                    request = Request(method, target, headers, body, self.number)
                    answer, cut = self._handle(request)
                    _send(connection, answer, cut, method == "HEAD")
        finally:
            self._forget(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)
        connection.close()


def _requests(
    connection: socket.socket,
) -> Iterator[tuple[str, str, Mapping[str, str], bytes]]:
    """Yield method, target, headers and body of each request; ends where the client does."""
    buffer = bytearray()
    while True:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if not _more(connection, buffer, _HEAD):
                return
        first, *lines = buffer[:end].decode("latin-1").split("\r\n")
        del buffer[: end + 4]
        method, target, _ = first.split(" ", 2)
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        while len(buffer) < length:
            if not _more(connection, buffer, length - len(buffer)):
                return
        body = bytes(buffer[:length])
        del buffer[:length]
        yield method, target, headers, body


def _more(connection: socket.socket, buffer: bytearray, size: int) -> bool:
    data = connection.recv(min(size, _CHUNK))
    buffer += data
    return bool(data)


def _send(connection: socket.socket, answer: Answer, cut: bool, head: bool) -> None:
    """Send an answer, or the first half of it; raises `Closed` after a half."""
    status = f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, '')}\r\n"
    start = status + "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    if isinstance(answer.body, bytes):
        body = b"" if head else answer.body
        data = f"{start}Content-Length: {len(answer.body)}\r\n\r\n".encode() + body
        if cut:
            # Headers that end too early would pass for an answer: without a body, the first line.
            connection.sendall(data[: len(data) - (len(body) + 1) // 2] if body else data[:10])
            raise Closed
        connection.sendall(data)
        return
    pending = bytearray(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
    whole = bytearray()
    for page, _ in answer.body:
        chunk = b"%x\r\n%b\r\n" % (len(page), page)
        if cut:
            whole += chunk
            continue
        pending += chunk
        if len(pending) > _CHUNK:
            connection.sendall(pending)
            pending.clear()
    if cut:
        connection.sendall(pending + whole[: len(whole) // 2])
        raise Closed
    connection.sendall(pending + b"0\r\n\r\n")
