"""Every path and method as routes: the operations, and the answers that HTTP itself asks for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NoReturn

from tams_gateway.domain.errors import MethodNotAllowed, NotFound
from tams_gateway.http import cors
from tams_gateway.http.routes import ANY, Route
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response

METHODS: Final = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS")
"""The methods that a path may have, in the order in which `Allow` tells them."""

OTHER: Final = "*"
"""The key of what answers to every further method."""

Table = Mapping[str, Mapping[str, Route]]
"""Template, then method (or `OTHER`), then the route."""


def complete(routes: Iterable[Route]) -> Table:
    """Return the routes with what belongs to each path: HEAD, OPTIONS and 405 (R-GEN-01, G-01)."""
    table: dict[str, dict[str, Route]] = defaultdict(dict)
    for route in routes:
        table[route.template][route.method] = route
    for template, methods in table.items():
        if "GET" in methods:
            methods.setdefault("HEAD", methods["GET"])
        allowed = [method for method in METHODS if method in methods or method == "OPTIONS"]
        methods["OPTIONS"] = _options(template, allowed)
        for method in (*METHODS, OTHER):
            methods.setdefault(method, _not_allowed(template, method, allowed))
    return table


def _unknown(_gateway: Gateway, _request: Request) -> NoReturn:
    raise NotFound("path: the API has no such path")


UNKNOWN: Final = Route("*", "*", _unknown, ANY)
"""The route of every path that no other has."""

UNKNOWN_OPTIONS: Final = Route("OPTIONS", "*", _unknown, ANY, open=True)
"""The same for OPTIONS, which needs no credentials (B3)."""


def _options(template: str, allowed: Sequence[str]) -> Route:
    headers = cors.preflight(allowed)

    def options(_gateway: Gateway, _request: Request) -> Response:
        return Response(status=204, headers=headers)

    return Route("OPTIONS", template, options, ANY, open=True)


def _not_allowed(template: str, method: str, allowed: Sequence[str]) -> Route:
    def not_allowed(_gateway: Gateway, request: Request) -> NoReturn:
        methods = ", ".join(allowed)
        summary = f"{request.method} is not for this path; expected one of {methods}"
        raise MethodNotAllowed(summary, {"Allow": methods})

    return Route(method, template, not_allowed, ANY)
