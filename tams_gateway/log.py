"""Logs to standard error: JSON lines, or for people where that is a terminal.

Every line, of ours or of a server's own logger, is one object with `timestamp`, `level`, `event`.
"""

import logging
import sys
from contextlib import suppress
from typing import Any, BinaryIO, Final, cast

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


def configure(level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's logging alike; for once in each process."""
    terminal = sys.stderr.isatty()
    output = _Patient(sys.stderr.buffer)
    timestamps = structlog.processors.TimeStamper(fmt="iso", utc=True)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        timestamps,
    ]
    last = structlog.dev.ConsoleRenderer() if terminal else _render
    structlog.configure(
        processors=[*shared, *([] if terminal else [_exception]), last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
        if terminal
        else structlog.BytesLoggerFactory(cast(BinaryIO, output)),
        cache_logger_on_first_use=True,
    )
    _configure_standard(level, shared, terminal)


def _configure_standard(level: int, shared: list[Processor], terminal: bool) -> None:
    """Send what libraries log through the same processors; servers hand theirs to the root."""
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()] if terminal else [_exception, _render_text]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    for name in _SERVERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = not name.endswith("access")
        logger.setLevel(logging.INFO)


class _Patient:
    """A file whose disk may be full: what cannot be written waits in its buffer, or is lost.

    A request must not fail because of its line in the log, and there is nobody else to tell.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, line: bytes) -> None:
        with suppress(OSError):
            self._file.write(line)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


_exception = cast(Processor, structlog.processors.ExceptionRenderer())


def _render(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    return _encode(event)


def _render_text(_logger: WrappedLogger, _method: str, event: EventDict) -> Any:
    return _encode(event).decode()
