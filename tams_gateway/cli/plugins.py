"""`tams-gateway plugins`: what is installed, what is selected, and with which options."""

import os
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from tams_gateway.plugin import loader
from tams_gateway.plugin.commands import config_option
from tams_gateway.sections import expected
from tams_gateway.settings import ObjectsSection, PluginSection, Settings, load


@click.command()
@config_option
def plugins(path: Path | None) -> None:
    """List the installed plugins, where the config selects them, and their options."""
    selected = _selected(load(path, os.environ))
    installed = loader.installed()
    for name in sorted(installed):
        click.echo(f"{name} ({installed[name]}), {_places(selected.pop(name, []))}")
        try:
            for line in _describe(loader.load(name)):
                click.echo(f"  {line}")
        except loader.PluginError as error:
            click.echo(f"  unusable: {error}")
    for name, places in sorted(selected.items()):
        click.echo(f"{name} (not installed), {_places(places)}")


def _selected(settings: Settings) -> dict[str, list[str]]:
    """Return the sections of the config by the plugin that they name."""
    places: dict[str, list[str]] = {}
    plugins = (settings.metadata, *settings.auth, *settings.events)
    sections: tuple[PluginSection | ObjectsSection, ...] = (*plugins, *settings.objects)
    for section in sections:
        places.setdefault(section.plugin, []).append(section.key)
    return places


def _places(sections: list[str]) -> str:
    return f"selected by {', '.join(sections)}" if sections else "not selected"


def _describe(plugin: loader.Plugin) -> Iterator[str]:
    for section, provider in plugin.providers.items():
        yield f"{section} {provider.summary}"
        for option, type_, default in options(provider.settings):
            yield f"  {option}: {type_} ({default})"
    for command in plugin.commands:
        yield f"command {command.name}: {command.get_short_help_str()}"


def options(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    """Return name, type and default of each option, in an operator's words."""
    for field in msgspec.structs.fields(struct):
        yield field.encode_name, expected(field.type), _default(field)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    return "none" if value is None else msgspec.json.encode(value, enc_hook=repr).decode()
