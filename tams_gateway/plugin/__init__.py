"""All that a plugin author imports to register: `hookimpl`, `Provider`, `Context`."""

from tams_gateway.plugin.hookspecs import hookimpl
from tams_gateway.plugin.provider import API, Context, Provider, Secret

__all__ = ["API", "Context", "Provider", "Secret", "hookimpl"]
