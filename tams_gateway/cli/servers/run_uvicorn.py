"""Runs the ASGI app under uvicorn."""

import asyncio
import os
import re
import signal
from http import HTTPStatus
from typing import Any, Final

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

from tams_gateway import log
from tams_gateway.cli.serve import GRACE
from tams_gateway.cli.servers.process import KEEP_ALIVE, PATIENCE, begin
from tams_gateway.domain.errors import HeadersTooLarge, Invalid, Refusal
from tams_gateway.http import problems

_LARGEST_HEADER: Final = 2**20
"""What of a header is buffered, in bytes; above it the connection is closed. The gateway itself
refuses smaller ones, with an answer (`limits.header_bytes`)."""


_HUNG: Final = 10
"""After so many seconds without a sign of life one of several workers is replaced."""

_LONGEST_TARGET: Final = 65535
"""The longest request target that httptools reads."""

_UPGRADE: Final = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, with a limit to the size of a header and to the time that it may take.

    No protocol is upgraded to. The parser would leave the body of a request that offers an
    upgrade, as Java's client does, to be read as the next request: the offer is taken out of a
    header that comes in one piece; a request that gets through with one is the connection's last.
    """

    _timer: asyncio.TimerHandle | None = None
    _header_size = 0
    _in_header = True
    _last = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a header from now on."""
        super().connection_made(transport)
        self._expect_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a header."""
        if self._last:
            return
        if self._in_header:
            if self._header_size == 0:
                end = data.find(b"\r\n\r\n")
                if end >= 0 and _UPGRADE.search(data, 0, end):
                    data = _UPGRADE.sub(b"", data[:end]) + data[end:]
            self._header_size += len(data)
            if self._timer is None:
                self._start_timer()
        super().data_received(data)
        if self._in_header and self._header_size > _LARGEST_HEADER:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Stop the clock: what follows is the app's matter.

        Raises ValueError, which the parser turns into a 400, for versions that Falcon knows not.
        """
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError("not HTTP/1.0 or HTTP/1.1")
        self._in_header = False
        self._stop_timer()
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self._last = True
            self.cycle.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the header; those behind a chunked body are nobody's matter."""
        if self._in_header:
            super().on_header(name, value)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request in the words of the API, and close the connection."""
        refusal: Refusal = Invalid(f"request: {msg}")
        if len(self.url) > _LONGEST_TARGET:
            refusal = HeadersTooLarge(f"request: expected at most {_LONGEST_TARGET} bytes of path")
        response = problems.refused(refusal, "")
        status = HTTPStatus(response.status)
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(response.body)}\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode() + response.body)
        self.transport.close()

    def on_message_complete(self) -> None:
        """Expect a further header, whose time runs from its first byte."""
        super().on_message_complete()
        self._in_header, self._header_size = True, 0

    def _expect_header(self) -> None:
        self._in_header, self._header_size = True, 0
        self._start_timer()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(PATIENCE, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def main() -> None:
    """Serve until a signal comes."""
    settings = begin()
    serve = settings.serve
    options: dict[str, Any] = {
        "host": serve.host,
        "port": serve.port,
        "workers": serve.workers,
        "factory": True,
        "http": Protocol,
        "loop": "uvloop",
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE,
        "timeout_graceful_shutdown": GRACE,
        "timeout_worker_healthcheck": _HUNG,
    }
    config = Config("tams_gateway.cli.servers.process:asgi_worker", **options)
    if serve.workers == 1:
        Server(config).run()
    else:
        Multiprocess(config, sockets=[config.bind_socket()]).run()
    # A thread may still be at work for a request that was cut; it must not hold up the end.
    log.flush()
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    main()
