"""Runs the WSGI app under gunicorn with threads."""

import os
import signal
import socket
import struct
from typing import Any, Final

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.http import message  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from tams_gateway import log
from tams_gateway.cli.serve import GRACE
from tams_gateway.cli.servers.process import KEEP_ALIVE, PATIENCE, begin, wsgi_worker
from tams_gateway.http.wsgi_adapter import WsgiApp

_LARGEST_HEADER: Final = 2**17
"""What gunicorn reads of a request line, or of one field of a header, in bytes."""

_HUNG: Final = 30
"""After so many seconds without a sign of life a worker is replaced. Its start counts, too."""


_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
"""The signals by which gunicorn ends its workers."""


class _Logger(Logger):  # type: ignore[misc]
    """Leaves the handlers to `log.configure`."""

    def setup(self, cfg: Any) -> None:
        """Set the levels, then hand the records on."""
        super().setup(cfg)
        log.configure()


class _Application(BaseApplication):  # type: ignore[misc]
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> WsgiApp:
        return wsgi_worker()


def _hold_signals(_arbiter: object, _worker: ThreadWorker) -> None:
    """Let signals wait from here until a worker has handlers of its own.

    Those that it inherits are the arbiter's and note signals where nobody looks, so that a worker
    which is told to end while it starts would be killed when the grace is over.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def _take_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _begin_work(worker: ThreadWorker) -> None:
    _limit_reads(worker)
    _take_signals()


def _limit_reads(worker: ThreadWorker) -> None:
    """Let reads of a header or a body time out: accepted sockets inherit that on Linux."""
    for listener in worker.sockets:
        timeout = struct.pack("ll", PATIENCE, 0)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)


def main() -> None:
    """Serve until a signal comes."""
    # gunicorn takes no larger setting than this; ids of 2000 characters need more.
    message.MAX_REQUEST_LINE = _LARGEST_HEADER + 1
    settings = begin()
    serve = settings.serve
    os.register_at_fork(after_in_parent=_take_signals)
    host = f"[{serve.host}]" if ":" in serve.host else serve.host
    _Application(
        {
            "bind": f"{host}:{serve.port}",
            "workers": serve.workers,
            "threads": serve.threads,
            "worker_class": "gthread",
            "worker_connections": 1000 + serve.threads,
            "logger_class": _Logger,
            "pre_fork": _hold_signals,
            "post_worker_init": _begin_work,
            "keepalive": KEEP_ALIVE,
            "timeout": _HUNG,
            "graceful_timeout": GRACE,
            # Above what the gateway takes, so that it is the gateway that refuses (431), but no
            # more: gunicorn copies what it has of a header at each read.
            "limit_request_line": _LARGEST_HEADER,
            "limit_request_field_size": _LARGEST_HEADER,
            "limit_request_fields": 200,
            # Forwarded headers are the gateway's own matter (trusted_proxies).
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "control_socket_disable": True,
        }
    ).run()


if __name__ == "__main__":
    main()
