"""All that a plugin author imports to register: `hookimpl`, `Provider`, `Context`."""

from tams_gateway.plugin.hookspecs import hookimpl
from tams_gateway.plugin.provider import Context, Provider, Secret

__all__ = ["Context", "Provider", "Secret", "hookimpl"]
