"""One POST to a receiver: bounded in time and size, and only to an address that is allowed."""

import http.client
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from tams_gateway_events.addresses import Guard, Refused

_ANSWER_BYTES: Final = 64 * 2**10
_RECEIVERS: Final = 256
"""To how many receivers connections are kept open."""

_LOOK: Final = 0.2
"""Seconds between looks for attempts that take too long."""


class Answer(msgspec.Struct, frozen=True):
    """What came of an attempt: a status, or the error that kept one from coming.

    `retry_after` is what the receiver asked for, in seconds.
    """

    status: int | None = None
    error: str = ""
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the receiver took the event: any 2xx (R-WHK-23)."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def text(self) -> str:
        """What to tell people of it."""
        return self.error if self.status is None else f"the receiver answered {self.status}"


class Client:
    """Sends events; used by many threads at once.

    Connections are kept for the next event, at most `per_receiver` to each. Redirects are not
    followed, and no proxy is used. `timeout` bounds an attempt as a whole, in seconds.
    """

    def __init__(
        self, guard: Guard, timeout: float, per_receiver: int, ca_bundle: str | None = None
    ) -> None:
        self._timeout = timeout
        self._attempts = _Attempts()
        self._pools = PoolManager(
            _RECEIVERS,
            maxsize=per_receiver,
            cert_reqs="CERT_REQUIRED",
            ca_certs=ca_bundle,
            retries=False,
        )
        self._pools.pool_classes_by_scheme = _pool_classes(guard, self._attempts.connecting)

    def post(self, url: str, headers: Mapping[str, str | bytes], body: bytes) -> Answer:
        """Send one event and read the beginning of the answer; does not raise."""
        self._attempts.begin(self._timeout)
        try:
            return self._post(url, headers, body)
        except (Refused, _Unreachable) as error:
            return Answer(error=str(error))
        except (HTTPError, OSError, http.client.HTTPException, ValueError) as error:
            if self._attempts.overdue():
                return Answer(error=f"no whole answer within {self._timeout:g} s")
            return Answer(error=_reason(error))
        finally:
            self._attempts.end()

    def _post(self, url: str, headers: Mapping[str, str | bytes], body: bytes) -> Answer:
        response = self._pools.request(
            "POST",
            url,
            body=body,
            headers=headers,  # type: ignore[arg-type]  # Bytes go out as they are.
            timeout=Timeout(total=self._timeout),
            redirect=False,
            preload_content=False,
        )
        asked = response.headers.get("Retry-After")
        answer = Answer(response.status, retry_after=_seconds(asked) if asked else None)
        try:
            # What has been answered counts, however the rest of it comes.
            read = len(response.read(_ANSWER_BYTES + 1, decode_content=False))
        except (HTTPError, OSError):
            read = _ANSWER_BYTES + 1
        if read > _ANSWER_BYTES:
            response.close()
        else:
            response.release_conn()
        return answer

    def abort(self) -> None:
        """End all attempts in hand at once; they answer with an error."""
        self._attempts.abort()

    def close(self) -> None:
        """Close all connections; no call follows."""
        self._attempts.abort()
        self._pools.clear()


class _Unreachable(Exception):
    """No connection came about; the message says why."""


class _Attempts:
    """The attempts in hand, by their threads; a thread of its own ends those that are overdue.

    A receiver that sends a byte now and then never meets the timeout of a socket.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[int, float] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._watching = False

    def begin(self, timeout: float) -> None:
        """Note that this thread begins an attempt."""
        with self._lock:
            self._ends[threading.get_ident()] = time.monotonic() + timeout
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="webhook-timeouts", daemon=True).start()

    def connecting(self, handle: socket.socket) -> None:
        """Note by which socket the attempt of this thread goes."""
        with self._lock:
            self._sockets[threading.get_ident()] = handle

    def overdue(self) -> bool:
        """Whether the attempt of this thread has taken too long."""
        return time.monotonic() >= self._ends[threading.get_ident()]

    def end(self) -> None:
        """Note that the attempt of this thread is over."""
        with self._lock:
            del self._ends[threading.get_ident()]
            self._sockets.pop(threading.get_ident(), None)

    def abort(self, by: float = float("inf")) -> None:
        """End those that are to end by that time."""
        with self._lock:
            for thread, end in self._ends.items():
                if end <= by and thread in self._sockets:
                    _shut(self._sockets[thread])

    def _watch(self) -> None:
        idle = 0
        while True:
            time.sleep(_LOOK)
            self.abort(time.monotonic())
            with self._lock:
                idle = 0 if self._ends else idle + 1
                if idle * _LOOK > 5:
                    self._watching = False
                    return


def _pool_classes(
    guard: Guard, connecting: Callable[[socket.socket], None]
) -> dict[str, type[HTTPConnectionPool]]:
    """Return the pools whose connections ask the guard, and tell which socket they use."""

    class Plain(HTTPConnection):
        handle: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            connected = _connect(guard, self)
            self.handle = _follow(connected, self.handle, connecting)
            return connected

        def request(self, *arguments: object, **options: object) -> None:
            if self.sock is not None and self.handle is not None:
                connecting(self.handle)
            super().request(*arguments, **options)  # type: ignore[arg-type]
            if self.handle is not None:
                _acknowledge_at_once(self.handle)

        def close(self) -> None:
            super().close()
            if self.handle is not None:
                self.handle.close()
                self.handle = None

    class Secure(Plain, HTTPSConnection):
        """The same, inside TLS; the name that is verified is still the host's."""

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _follow(
    connected: socket.socket,
    before: socket.socket | None,
    connecting: Callable[[socket.socket], None],
) -> socket.socket:
    """Return a second handle of the connection, since TLS takes the first one away."""
    if before is not None:
        before.close()
    handle = connected.dup()
    connecting(handle)
    return handle


def _connect(guard: Guard, connection: HTTPConnection) -> socket.socket:
    """Resolve the host once, judge every address, and connect to one of those.

    Raises `Refused` and `_Unreachable`.
    """
    host = connection.host.strip("[]")
    timeout = connection.timeout
    end = time.monotonic() + (timeout if isinstance(timeout, int | float) else 10.0)
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _Unreachable(f"the name {host} is not known: {error}") from error
    for *_, address in found:
        guard.check(host, str(address[0]))
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.settimeout(max(end - time.monotonic(), 0.001))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.connect(address)
        except OSError as error:
            opened.close()
            failure = error
        else:
            return opened
    raise _Unreachable(f"cannot connect to {host}: {failure}")


def _acknowledge_at_once(handle: socket.socket) -> None:
    """Spare a receiver that writes its answer in two parts the 40 ms that Linux waits between."""
    if sys.platform == "linux":
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _shut(handle: socket.socket) -> None:
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It is closed already, which is what is wanted.


def _reason(error: Exception) -> str:
    """Return the words of an error; urllib3 puts the one that it met behind its own."""
    inner = error.args[-1] if error.args else error
    return str(inner) or type(inner).__name__


def _seconds(retry_after: str) -> float | None:
    """Return what a `Retry-After` asks for, in seconds or as a date; None for anything else."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
