"""Logs to standard error: JSON lines, or for people where that is a terminal.

Every line, of ours or of a server's own logger, is one object with `timestamp`, `level`, `event`.
Lines of requests are gathered, and written together at the latest a tenth of a second later.
"""

import atexit
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any, BinaryIO, Final, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_encode = msgspec.json.Encoder(enc_hook=repr).encode

_SERVERS: Final = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "gunicorn.error",
    "gunicorn.access",
    "_granian",
    "granian.access",
)


_LATEST: Final = 0.1
"""How long the line of a request may wait, in seconds."""

_MOST: Final = 256
"""How many of them may wait: some 64 KiB."""

_LOST: Final = (OSError, ValueError)
"""What a write raises: a full disk, and a file that somebody has closed."""

_TOKEN: Final = re.compile(r"(?<=access_token=)[^&\s'\"]+")

_requests = structlog.get_logger("tams_gateway.request")
_output: "_Output | None" = None
"""Where the lines of requests go as JSON; None sends them through structlog."""


class RequestLine(msgspec.Struct, gc=False):
    """The one line of a request: `ms` in milliseconds, `bytes` sent as the body."""

    timestamp: datetime
    method: str
    path: str
    route: str
    status: int
    ms: float
    request_id: str
    principal: str
    peer: str
    bytes: int
    level: str = "info"
    event: str = "request"


def request(line: RequestLine) -> None:
    """Write the line of a request, at the latest a tenth of a second later."""
    if _output is not None:
        _output.gather(_encode(line))
        return
    fields = msgspec.structs.asdict(line)
    del fields["timestamp"], fields["level"]
    _requests.info(**fields)


def flush() -> None:
    """Write all lines that wait; the end of a process does so, unless it is by `os._exit`."""
    if _output is not None:
        _output.flush()


def configure() -> None:
    """Set up structlog and the standard library's logging alike; for once in each process."""
    global _output
    flush()
    terminal = sys.stderr.isatty()
    output = _Output(sys.stderr.buffer)
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
    ]
    last = _for_people() if terminal else _render
    structlog.configure(
        processors=[*shared, *([] if terminal else [_exception]), last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
        if terminal
        else structlog.BytesLoggerFactory(cast(BinaryIO, output)),
        cache_logger_on_first_use=True,
    )
    _configure_standard(shared, None if terminal else _AsText(output))
    _output = None if terminal else output


def _configure_standard(shared: list[Processor], output: "_AsText | None") -> None:
    """Send what libraries log through the same processors; servers hand theirs to the root."""
    last: list[Processor] = [_for_people()] if output is None else [_exception, _render_text]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(cast(TextIO, output or sys.stderr))
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _SERVERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = not name.endswith("access")
        logger.setLevel(logging.INFO)


class _Output:
    """A file, in which lines of requests come later than they are told, but in order.

    A write costs a request several microseconds, and more where threads compete: each gives up
    the interpreter's lock, and gets it back in turn. If the file takes nothing, as a pipe that
    is full, requests wait.

    A request must not fail because of its line, and there is nobody else to tell: what a full
    disk does not take stays in the file's buffer, or is lost.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._gathered: deque[bytes] = deque()
        # A signal may come, and be logged, while its thread writes.
        self._lock = threading.RLock()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None

    def gather(self, line: bytes) -> None:
        """Write a line, without its end, together with others."""
        self._gathered.append(line)
        if len(self._gathered) >= _MOST:
            self.flush()
        elif not self._some.is_set():
            self._wake()

    def write(self, text: bytes) -> None:
        """Write what was gathered, and then this."""
        with self._lock, suppress(*_LOST):
            self._write_gathered()
            self._file.write(text)

    def flush(self) -> None:
        """Write what was gathered, and let nothing wait in the file's buffer."""
        with self._lock, suppress(*_LOST):
            self._write_gathered()
            self._file.flush()

    def lock(self) -> None:
        """Let nothing be half written when the process forks."""
        self._lock.acquire()

    def unlock(self) -> None:
        """Go on after the fork."""
        self._lock.release()

    def begin_anew(self) -> None:
        """Go on in the child of a fork, which has no other thread: the parent writes its lines."""
        self._gathered.clear()
        self._some = threading.Event()
        self._thread = None
        self._lock.release()

    def _write_gathered(self) -> None:
        lines = []
        with suppress(IndexError):
            for _ in range(len(self._gathered)):
                lines.append(self._gathered.popleft())
        if lines:
            self._file.write(b"\n".join((*lines, b"")))

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="log", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # There is none to be had, as at the end of the process.
                    self.flush()
                    return
                self._thread = thread
        self._some.set()

    def _work(self) -> None:
        while self._some.wait():
            time.sleep(_LATEST)
            self._some.clear()
            self.flush()


class _AsText:
    """The output for the standard library's handlers, which write text."""

    def __init__(self, output: _Output) -> None:
        self._output = output

    def write(self, text: str) -> None:
        self._output.write(text.encode())

    def flush(self) -> None:
        self._output.flush()


def _before_fork() -> None:
    if _output is not None:
        _output.lock()


def _after_fork_in_parent() -> None:
    if _output is not None:
        _output.unlock()


def _after_fork_in_child() -> None:
    if _output is not None:
        _output.begin_anew()


atexit.register(flush)
os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide tokens in what a server says of a malformed request, whose first line it repeats."""
    text = event.get("event")
    if isinstance(text, str):
        event["event"] = _TOKEN.sub("...", text)
    return event


_exception = cast(Processor, structlog.processors.ExceptionRenderer())


def _for_people() -> structlog.dev.ConsoleRenderer:
    """Return what renders for a terminal; plain tracebacks, since local variables hold secrets."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _render(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return _encode(event)


def _render_text(_logger: WrappedLogger, _method: str, event: EventDict) -> Any:
    return _encode(event).decode()
