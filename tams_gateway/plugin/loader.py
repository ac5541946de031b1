"""Finds installed plugins and imports those that are named: the only user of a plugin manager.

Each plugin gets a manager of its own, so that one is imported without the others, and what a
hook returns is known to be its own.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import click
import pluggy

from tams_gateway.auth.provider import AuthProvider
from tams_gateway.config_file import ConfigError
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin import hookspecs
from tams_gateway.plugin.hookspecs import PROJECT
from tams_gateway.plugin.provider import API, Provider
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore

DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "memory": "tams-gateway-memory",
    "sqlite": "tams-gateway-sqlite",
    "filesystem": "tams-gateway-filesystem",
    "s3": "tams-gateway-s3",
    "vast": "tams-gateway-vast",
    "basic": "tams-gateway-auth",
    "jwt": "tams-gateway-auth",
    "url-token": "tams-gateway-auth",
    "webhook": "tams-gateway-events",
    "log": "tams-gateway-events",
}
"""The plugins of this project and their distributions, to say what to install."""


class PluginError(ConfigError):
    """A plugin is missing or unusable; the message is one line that names it and the remedy."""


def installed() -> dict[str, str]:
    """Return the installed plugins by name, each with its distribution; imports none.

    Raises `PluginError` where two distributions have plugins of one name.
    """
    names: dict[str, str] = {}
    for point in entry_points(group=PROJECT):
        distribution = _distribution(point)
        other = names.setdefault(point.name, distribution)
        if other != distribution:
            raise PluginError(
                f"plugin {point.name!r} is in two distributions, {other} and {distribution}: "
                "uninstall one of them"
            )
    return names


def load(name: str) -> "Plugin":
    """Import an installed plugin.

    Raises `PluginError` if it is not installed, fails at import, or misspells a hook.
    """
    found = installed()
    if name not in found:
        hint = f"; pip install {DISTRIBUTIONS[name]}" if name in DISTRIBUTIONS else ""
        names = ", ".join(sorted(found)) or "none"
        raise PluginError(f"no plugin {name!r}; installed: {names}{hint}")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.load_setuptools_entrypoints(PROJECT, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"plugin {name!r} ({found[name]}): {_hook_mistake(error)}") from error
    except Exception as error:
        # Importing runs foreign code, which may raise anything; that is told, not swallowed.
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginError(f"plugin {name!r} ({found[name]}) fails at import: {reason}") from error
    return Plugin(name, manager)


class Plugin:
    """One imported plugin, with a typed method for each hook."""

    def __init__(self, name: str, manager: pluggy.PluginManager) -> None:
        self.name = name
        self._hook = manager.hook

    def metadata_store(self) -> Provider[MetadataStore]:
        """Return its provider of a metadata store. Raises `PluginError` if it has none."""
        return self._provider(self._hook.tams_metadata_store, "[metadata]")

    def object_store(self) -> Provider[ObjectStore]:
        """Return its provider of an object store. Raises `PluginError` if it has none."""
        return self._provider(self._hook.tams_object_store, "[objects.NAME]")

    def auth_provider(self) -> Provider[AuthProvider]:
        """Return its auth provider. Raises `PluginError` if it has none."""
        return self._provider(self._hook.tams_auth_provider, "[[auth]]")

    def event_sink(self) -> Provider[EventSink]:
        """Return its event sink. Raises `PluginError` if it has none."""
        return self._provider(self._hook.tams_event_sink, "[[events]]")

    def commands(self) -> Sequence[click.Command]:
        """Return the commands that it adds below `tams-gateway`, perhaps none."""
        return [command for some in self._hook.tams_commands() for command in some]

    def providers(self) -> dict[str, Provider[Any]]:
        """Return all of its providers, by the section that may name the plugin."""
        return {
            section: self._provider(caller, section)
            for section, caller in {
                "[metadata]": self._hook.tams_metadata_store,
                "[objects.NAME]": self._hook.tams_object_store,
                "[[auth]]": self._hook.tams_auth_provider,
                "[[events]]": self._hook.tams_event_sink,
            }.items()
            if caller.get_hookimpls()
        }

    def _provider(self, caller: Callable[[], list[Any]], section: str) -> Provider[Any]:
        found = caller()
        if not found:
            serves = ", ".join(self.providers()) or "no section"
            raise PluginError(f"plugin {self.name!r} does not fit {section}; it fits {serves}")
        if not isinstance(found[0], Provider):
            kind = type(found[0]).__name__
            raise PluginError(
                f"plugin {self.name!r}: expected a Provider for {section}, got {kind}"
            )
        if found[0].api != API:
            raise PluginError(
                f"plugin {self.name!r} is made for version {found[0].api} of the plugin contracts, "
                f"this gateway has version {API}: install a fitting release of one of them"
            )
        return found[0]


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _hook_mistake(error: pluggy.PluginValidationError) -> str:
    known = ", ".join(name for name in vars(hookspecs) if name.startswith("tams_"))
    reason = str(error).partition(" in plugin ")[0]
    return f"{' '.join(reason.split())}; the hooks are {known}"
