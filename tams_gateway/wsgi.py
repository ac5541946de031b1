"""The WSGI app, for gunicorn and granian: `create()` builds it, `app` is it.

`app` is built when it is first asked for, from `TAMS_GATEWAY_CONFIG` or the embedded default, so
that importing this module opens nothing and stores are opened after a server has forked.
"""

import atexit
import os
from typing import TYPE_CHECKING

from tams_gateway import log
from tams_gateway.assembly import assemble
from tams_gateway.http.pipeline import Pipeline
from tams_gateway.http.table import complete
from tams_gateway.http.wsgi_adapter import WsgiApp
from tams_gateway.settings import Settings, load

if TYPE_CHECKING:
    app: WsgiApp


def create(settings: Settings | None = None) -> WsgiApp:
    """Return a WSGI app on stores of its own, at work at once; `close()` ends it.

    Without settings they come from `TAMS_GATEWAY_CONFIG` and the environment. Raises `ConfigError`.
    """
    assembly = assemble(settings or load(None, os.environ))
    pipeline = Pipeline(assembly.gateway, assembly.chain, assembly.settings.service)
    table = complete(assembly.routes)
    if assembly.gateway.feed is not None:
        # Each holds a thread, and requests need some, too.
        assembly.gateway.feed.bound(max(1, assembly.settings.serve.threads // 4))
    made = WsgiApp(pipeline, table, close=assembly.close)
    assembly.start()
    return made


def __getattr__(name: str) -> WsgiApp:
    """Build `app` when a server asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    log.configure()
    made = globals()["app"] = create()
    atexit.register(made.close)
    return made
