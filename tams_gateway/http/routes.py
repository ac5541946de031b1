"""The one table of routes: template and method, the operation, the scope that it needs."""

from collections.abc import Callable

import msgspec

from tams_gateway.auth.principal import Scope
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response


class Route(msgspec.Struct, frozen=True):
    """One operation on a path. `scopes` is who may call it: any one of them suffices.

    `open` ones need no credentials at all (`/health`, media with a signature). `streams` takes
    the request's body as a stream. `waits` is False where the operation touches no store.
    """

    method: str
    template: str
    operation: Callable[[Gateway, Request], Response]
    scopes: frozenset[Scope]
    open: bool = False
    streams: bool = False


ROUTES: tuple[Route, ...] = ()
