"""What the processes below `tams-gateway serve` have in common: their settings, start and end."""

import ctypes
import os
import signal
import sys
from typing import Final

from tams_gateway import asgi, log, wsgi
from tams_gateway.assembly import assemble
from tams_gateway.cli.serve import GUARD
from tams_gateway.config_file import ConfigError
from tams_gateway.http.asgi_adapter import AsgiApp
from tams_gateway.http.wsgi_adapter import WsgiApp
from tams_gateway.settings import Settings, load

PATIENCE: Final = 30
"""How long a client may take to send a header, or nothing of a body, in seconds."""

KEEP_ALIVE: Final = 65
"""How long a connection may be idle between requests, in seconds: longer than proxies keep
theirs, which would else send a request into a connection that is just being closed."""

_PR_SET_PDEATHSIG: Final = 1


def begin() -> Settings:
    """Return the settings of a server's first process, all of whose stores have opened once.

    So a config that does not work ends it here, with one line, and new stores are made before
    several workers open them at once.
    """
    end_with_parent(signal.SIGTERM)
    if os.environ.pop(GUARD, None) not in (None, str(os.getppid())):
        sys.exit("Error: tams-gateway serve has ended")
    log.configure()
    try:
        settings = load(None, os.environ)
        assemble(settings).close()
    except ConfigError as error:
        sys.exit(f"Error: {error}")
    return settings


def end_with_parent(number: signal.Signals) -> None:
    """Get a signal when the parent process ends, however it does; Linux alone has it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))


def wsgi_worker() -> WsgiApp:
    """Return the app of a worker process, which its server asks for after the fork."""
    end_with_parent(signal.SIGKILL)
    log.configure()
    return wsgi.create()


def asgi_worker() -> AsgiApp:
    """Return the app of a worker process."""
    end_with_parent(signal.SIGKILL)
    log.configure()
    return asgi.create()
