"""What the two Falcon apps have in common: the table mounted, responses filled in, fallbacks."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import falcon

from tams_gateway.http.routes import ANY, Route
from tams_gateway.http.table import OTHER, UNKNOWN, UNKNOWN_OPTIONS, Table
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response


def mount(
    app: "falcon.App[Any, Any]",
    table: Table,
    respond: Callable[..., Any],
    respond_error: Callable[..., Any],
) -> None:
    """Give an app its routes, each as `respond(route, req, resp, **parameters)`.

    What Falcon itself would answer comes as `respond_error(req, resp, error, parameters)`.
    """
    for template, methods in table.items():
        responders = {
            f"on_{method.lower()}": partial(respond, route)
            for method, route in methods.items()
            if method != OTHER
        }
        app.add_route(template, SimpleNamespace(**responders))
    # An answer without a body has no content type; Falcon would give it one.
    app.resp_options.default_media_type = cast(str, None)
    app.add_error_handler((Exception, falcon.HTTPError), respond_error)


def fallback(table: Table, method: str, template: str | None, error: Exception) -> Route:
    """Return the route of a request for which Falcon found none, or that met a bug of ours."""
    if not isinstance(error, falcon.HTTPError):
        return Route(method, template or "*", partial(_raise, error), ANY, open=True)
    if template is not None and template in table:
        return table[template][OTHER]
    return UNKNOWN_OPTIONS if method == "OPTIONS" else UNKNOWN


def fill(resp: falcon.Response, response: Response) -> None:
    """Put a response's values into Falcon's, but for a stream."""
    resp.status = response.status
    # Not by `set_headers`, which looks for cookies in each: it takes three times as long.
    headers = resp._headers
    for name, value in response.headers.items():
        headers[name.lower()] = value
    if response.stream is not None or response.body:
        headers["content-type"] = response.content_type
    if response.body:
        resp.data = response.body


def _raise(error: Exception, _gateway: Gateway, _request: Request) -> NoReturn:
    raise error
