"""Finds installed plugins and imports those that are named: the only user of a plugin manager.

Each plugin gets a manager of its own, so that one is imported without the others, and what a
hook returns is known to be its own.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import click
import pluggy

from tams_gateway import __version__
from tams_gateway.auth.provider import AuthProvider
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin import hookspecs
from tams_gateway.plugin.hookspecs import PROJECT
from tams_gateway.plugin.provider import API, Provider
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore

OWN: Final[Mapping[str, str]] = {
    "basic": "auth",
    "jwt": "auth",
    "url_token": "auth",
    "log": "events",
    "webhook": "events",
    "filesystem": "filesystem",
    "memory": "memory",
    "s3": "s3",
    "sqlite": "sqlite",
    "vast": "vast",
}
"""The plugins of this repository and the folder of each, to say what to install."""

_OURS: Final = f"tams-gateway {__version__} has version {API}"

_SECTIONS: Final[Mapping[str, str]] = {
    "tams_metadata_store": "[metadata]",
    "tams_object_store": "[objects.NAME]",
    "tams_auth_provider": "[[auth]]",
    "tams_event_sink": "[[events]]",
}
"""The section that names a plugin, by the hook that it has for it."""


class PluginError(Exception):
    """A plugin is missing or unusable; the message is one line that names it and the remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


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

    Raises `PluginError` if it is not installed, does not load, misspells a hook, or is made for
    other contracts.
    """
    found = installed()
    if name not in found:
        hint = "name one of these, or install the package that has it"
        if name in OWN:
            hint = f"in a checkout: {sys.executable} -m pip install ./plugins/{OWN[name]}"
        names = ", ".join(sorted(found)) or "none"
        raise PluginError(f"no plugin {name!r}; installed: {names}; {hint}")
    what = f"plugin {name!r} ({found[name]})"
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.load_setuptools_entrypoints(PROJECT, name=name)
        manager.check_pending()
        results = {hook: getattr(manager.hook, hook)() for hook in (*_SECTIONS, "tams_commands")}
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{what}: {_hook_mistake(error)}") from error
    except Exception as error:
        # An import and a factory run foreign code, which may raise anything: say what it was.
        reason = f"{what} does not load: {type(error).__name__}: {error}"
        if isinstance(error, ImportError) and f"{error.name}.".startswith(f"{PROJECT}."):
            reason += f"; it is made for other plugin contracts, {_OURS}: upgrade the older one"
        raise PluginError(reason) from error
    commands = [command for some in results.pop("tams_commands") for command in some]
    return Plugin(
        name,
        {_SECTIONS[hook]: _checked(what, found[0]) for hook, found in results.items() if found},
        commands,
    )


class Plugin:
    """One imported plugin, with a typed method for each kind of section.

    `providers` holds what it provides by the section that may name it, `commands` what it adds
    below `tams-gateway`.
    """

    def __init__(
        self, name: str, providers: Mapping[str, Provider[Any]], commands: Sequence[click.Command]
    ) -> None:
        self.name = name
        self.providers = providers
        self.commands = commands

    def metadata_store(self) -> Provider[MetadataStore]:
        """Return its provider of a metadata store. Raises `PluginError` if it has none."""
        return self._provider("[metadata]")

    def object_store(self) -> Provider[ObjectStore]:
        """Return its provider of an object store. Raises `PluginError` if it has none."""
        return self._provider("[objects.NAME]")

    def auth_provider(self) -> Provider[AuthProvider]:
        """Return its auth provider. Raises `PluginError` if it has none."""
        return self._provider("[[auth]]")

    def event_sink(self) -> Provider[EventSink]:
        """Return its event sink. Raises `PluginError` if it has none."""
        return self._provider("[[events]]")

    def _provider(self, section: str) -> Provider[Any]:
        if section not in self.providers:
            fits = ", ".join(self.providers) or "no section"
            raise PluginError(f"plugin {self.name!r} does not fit {section}; it fits {fits}")
        return self.providers[section]


def _checked(what: str, provider: object) -> Provider[Any]:
    if not isinstance(provider, Provider):
        raise PluginError(f"{what}: expected a Provider, got {type(provider).__name__}")
    if provider.api != API:
        older = "the plugin" if provider.api < API else "tams-gateway"
        raise PluginError(
            f"{what} is made for version {provider.api} of the plugin contracts, {_OURS}: "
            f"upgrade {older}"
        )
    return provider


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _hook_mistake(error: pluggy.PluginValidationError) -> str:
    known = ", ".join((*_SECTIONS, "tams_commands"))
    reason = str(error).partition(" in plugin ")[0]
    return f"{reason}; the hooks are {known}"
