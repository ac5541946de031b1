"""Routes of plugins, beside the paths of the spec."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from tams_gateway.auth.principal import Scope
from tams_gateway.operations.messages import Request, Response


class PluginRoute(msgspec.Struct, frozen=True):
    """One operation of a plugin on a path, such as `POST /auth/token`.

    `template` is like `/auth/users/{name}`; its parameters are in `Request.path`. `respond` may
    block, is called by many threads at once, and refuses by raising a `Refusal` of
    `tams_gateway.domain.errors`. Any one of `scopes` suffices; an `open` one needs no credentials.
    One that `logs_in` looks at credentials itself: its answers of 400 and 401 count as failed
    logins, and an address with too many of them gets 429.
    """

    method: str
    template: str
    respond: Callable[[Request], Response]
    scopes: frozenset[Scope] = frozenset({Scope.ADMIN})
    open: bool = False
    logs_in: bool = False


@runtime_checkable
class SupportsRoutes(Protocol):
    """Whatever a plugin opened and that brings routes; asked once, at start."""

    def routes(self) -> Sequence[PluginRoute]:
        """Return the routes; none may be on a path of the API."""
