"""The ASGI app, for uvicorn: `create()` builds it, `app` is it.

`app` is built when it is first asked for, from `TAMS_GATEWAY_CONFIG` or the embedded default, so
that importing this module opens nothing and stores are opened after a server has forked.
"""

import os
from typing import TYPE_CHECKING

from tams_gateway import log
from tams_gateway.assembly import assemble
from tams_gateway.http.asgi_adapter import AsgiApp
from tams_gateway.http.pipeline import Pipeline
from tams_gateway.http.table import complete
from tams_gateway.settings import Settings, load

if TYPE_CHECKING:
    app: AsgiApp


def create(settings: Settings | None = None) -> AsgiApp:
    """Return an ASGI app on stores of its own.

    The server's lifespan starts it and ends it; without a lifespan, `close()` ends it and there
    is no background work. Without settings they come from `TAMS_GATEWAY_CONFIG` and the
    environment. Raises `ConfigError`.
    """
    assembly = assemble(settings or load(None, os.environ))
    return AsgiApp(
        Pipeline(assembly.gateway, assembly.chain, assembly.settings.service),
        complete(assembly.routes),
        threads=assembly.settings.serve.threads,
        blocks=assembly.blocks,
        start=assembly.start,
        close=assembly.close,
    )


def __getattr__(name: str) -> AsgiApp:
    """Build `app` when a server asks for it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    log.configure()
    made = globals()["app"] = create()
    return made
