"""Runs the WSGI app under granian."""

from typing import Any, Final

from granian import Granian
from granian.constants import Interfaces, RuntimeModes
from granian.http import HTTP1Settings

from tams_gateway.cli.serve import GRACE
from tams_gateway.cli.servers.process import PATIENCE, begin

_LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {},
    "handlers": {},
    "loggers": {"_granian": {"handlers": [], "propagate": True}},
}
"""Leaves the handlers to `log.configure`."""


def main() -> None:
    """Serve until a signal comes."""
    settings = begin()
    serve = settings.serve
    Granian(
        "tams_gateway.cli.servers.process:wsgi_worker",
        factory=True,
        interface=Interfaces.WSGI,
        address=serve.host,
        port=serve.port,
        workers=serve.workers,
        blocking_threads=serve.threads,
        # So many connections are open at once; most are idle, or their requests wait for a thread.
        backpressure=1000 + serve.threads,
        # With its other runtime a kept connection may sleep on a request that is there already.
        runtime_mode=RuntimeModes.mt,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=PATIENCE * 1000, max_buffer_size=2**20),
        log_dictconfig=_LOGGING,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE,
    ).serve()


if __name__ == "__main__":
    main()
