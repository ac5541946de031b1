"""All that a plugin author imports to register: `hookimpl`, `Provider`, `Context`, routes."""

from tams_gateway.operations.messages import Request, Response
from tams_gateway.plugin.hookspecs import hookimpl
from tams_gateway.plugin.provider import Context, Provider, Secret
from tams_gateway.plugin.routes import PluginRoute, SupportsRoutes

__all__ = [
    "Context",
    "PluginRoute",
    "Provider",
    "Request",
    "Response",
    "Secret",
    "SupportsRoutes",
    "hookimpl",
]
