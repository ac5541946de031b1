"""Sends prepared requests over kept connections as fast as they are answered.

One thread looks after all connections of a process, and looks at no more of an answer than its
status and its length: so it costs a fraction of what any server does. What surprises it is a
`LoadError`, and ends the run.
"""

import http.client
import select
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

PATIENCE: Final = 60.0
"""How long an answer may take, in seconds."""

_PIECE: Final = 2**18
_DISCARD: Final = getattr(socket, "MSG_TRUNC", 0)
"""Takes bytes off a TCP connection without copying them, on Linux."""

_scrap = bytearray(_PIECE)


class LoadError(Exception):
    """The server did not answer as it must; the text tells what came instead."""


class Target(NamedTuple):
    """Where to connect."""

    host: str
    port: int
    tls: bool = False

    def connect(self) -> socket.socket:
        """Return a new connection, which blocks. Raises `LoadError`."""
        try:
            made = socket.create_connection((self.host, self.port), PATIENCE)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self.tls:
                return made
            return ssl.create_default_context().wrap_socket(made, server_hostname=self.host)
        except OSError as error:
            raise LoadError(f"{self.host} port {self.port}: {error}") from error


class Expected(NamedTuple):
    """What every answer must be: one of these statuses, and of about this many bytes."""

    statuses: frozenset[int]
    size: int

    def check(self, status: int, size: int, beginning: bytes) -> None:
        """Raise `LoadError` for another answer; sizes may differ by a tenth and some bytes."""
        if status not in self.statuses:
            wanted = " or ".join(map(str, sorted(self.statuses)))
            raise LoadError(f"status {status}, not {wanted}: {beginning[:600]!r}")
        if abs(size - self.size) > self.size / 10 + 32:
            raise LoadError(f"{size} bytes, not about {self.size}: {beginning[:600]!r}")


class Tally(NamedTuple):
    """What a load came to: the time of each answer in nanoseconds, and seconds in all.

    `busy` is the CPU time of the driver, in seconds.
    """

    times: list[int]
    elapsed: float
    busy: float


def exchange(target: Target, request: bytes) -> tuple[int, bytes]:
    """Send one request and return the status and the body. Raises `LoadError`."""
    with target.connect() as connection:
        try:
            connection.sendall(request)
            response = http.client.HTTPResponse(
                connection, method=request.split(b" ", 1)[0].decode()
            )
            response.begin()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise LoadError(f"{target.host} port {target.port}: {error}") from error


def drive(
    target: Target,
    requests: Iterator[bytes],
    expected: Expected,
    connections: int,
    seconds: float,
) -> Tally:
    """Keep every connection waiting for one answer until the time or the requests are over."""
    with select.epoll() as poll:
        callers = [_Caller(target, poll, expected) for _ in range(connections)]
        try:
            return _drive(callers, poll, requests, seconds)
        finally:
            for caller in callers:
                caller.close()


def _drive(
    callers: list["_Caller"], poll: select.epoll, requests: Iterator[bytes], seconds: float
) -> Tally:
    clock = time.perf_counter_ns
    times: list[int] = []
    busy, start = time.process_time(), clock()
    end = start + int(seconds * 1e9)
    waiting: dict[int, _Caller] = {}
    for caller, request in zip(callers, requests, strict=False):
        caller.ask(request)
        waiting[caller.number] = caller
    while waiting:
        events = poll.poll(PATIENCE)
        if not events:
            raise LoadError(f"no answer within {PATIENCE:.0f} s")
        for number, event in events:
            caller = waiting[number]
            if event == select.EPOLLOUT:
                caller.send()
                continue
            if not caller.receive():
                continue
            now = clock()
            times.append(now - caller.asked)
            del waiting[number]
            following = next(requests, None) if now < end else None
            if following is None:
                poll.unregister(number)
            else:
                caller.ask(following)
                waiting[caller.number] = caller
    return Tally(times, (clock() - start) / 1e9, time.process_time() - busy)


class _Caller:
    """A connection with one request under way."""

    __slots__ = (
        "_closing",
        "_expected",
        "_left",
        "_poll",
        "_received",
        "_request",
        "_socket",
        "_target",
        "_unsent",
        "asked",
        "number",
    )

    def __init__(self, target: Target, poll: select.epoll, expected: Expected) -> None:
        self._target = target
        self._poll = poll
        self._expected = expected
        self._connect()

    def _connect(self) -> None:
        self._socket = self._target.connect()
        self._socket.setblocking(False)
        self.number = self._socket.fileno()
        self._poll.register(self.number, select.EPOLLIN)
        self._closing = False

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def ask(self, request: bytes) -> None:
        """Send a request, as far as it goes at once."""
        if self._closing:
            self.close()
            self._connect()
        self._request = request
        self._unsent = memoryview(request)
        self._received = b""
        self._left = 0
        self.asked = time.perf_counter_ns()
        self.send()

    def send(self) -> None:
        """Send what goes of the rest."""
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError as error:
            raise LoadError(f"the connection broke: {error}") from error
        waits = self._unsent.nbytes != len(self._request)
        self._unsent = self._unsent[sent:]
        if self._unsent.nbytes and not waits:
            self._poll.modify(self.number, select.EPOLLIN | select.EPOLLOUT)
        elif waits and not self._unsent.nbytes:
            self._poll.modify(self.number, select.EPOLLIN)

    def receive(self) -> bool:
        """Take what has come of the answer; return whether it is complete."""
        complete = self._take()
        while not complete and self._target.tls and self._socket.pending():  # type: ignore[attr-defined]
            complete = self._take()
        return complete

    def _take(self) -> bool:
        try:
            if self._left:
                return self._skip()
            piece = self._socket.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError as error:
            raise LoadError(f"the connection broke: {error}") from error
        if not piece:
            raise LoadError("the connection ended before the answer did")
        received = self._received + piece if self._received else piece
        head = received.find(b"\r\n\r\n")
        if head < 0:
            self._received = received
            return False
        return self._judge(received, head + 4)

    def _judge(self, received: bytes, body: int) -> bool:
        """Check an answer whose header is complete; return whether its body is, too."""
        status = int(received[9:12])
        head = received[:body].lower()
        if b"\r\nconnection: close" in head:
            self._closing = True
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            size = int(head[at + 17 : head.index(b"\r", at + 17)])
            self._expected.check(status, size, received)
            self._left = size - len(received) + body
            return not self._left
        if b"\r\ntransfer-encoding: chunked" in head:
            self._received = received
            if not received.endswith(b"\r\n0\r\n\r\n"):
                return False
            self._expected.check(status, len(_unchunked(received[body:])), received)
            return True
        self._expected.check(status, 0, received)
        return True

    def _skip(self) -> bool:
        wanted = min(self._left, _PIECE)
        got = self._socket.recv_into(_scrap, wanted, 0 if self._target.tls else _DISCARD)
        if not got:
            raise LoadError("the connection ended before the answer did")
        self._left -= got
        return not self._left


def _unchunked(body: bytes) -> bytes:
    pieces: list[bytes] = []
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            return b"".join(pieces)
        pieces.append(body[:length])
        body = body[length + 2 :]
