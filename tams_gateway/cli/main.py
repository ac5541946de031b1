"""The command `tams-gateway`: its own commands, and those of the installed plugins."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

import click

from tams_gateway import API_VERSION, __version__
from tams_gateway.config_file import ConfigError
from tams_gateway.plugin import loader
from tams_gateway.plugin.commands import Bench, Import, Openers

_OWN = ("serve", "check", "plugins", "backup", "restore", "verify", "keys")
"""Each is the command of that name in the module of that name."""


class _Commands(click.Group):
    """Imports a command when it is asked for: a broken plugin never keeps `serve` from running.

    Plugins are imported only for the list of commands, and to find one that is not our own.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_OWN, *sorted({command.name or "" for command in _of_plugins()} - set(_OWN))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _OWN:
            command: click.Command = getattr(
                import_module(f"tams_gateway.cli.{cmd_name}"), cmd_name
            )
            return command
        return next((command for command in _of_plugins() if command.name == cmd_name), None)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (ConfigError, loader.PluginError) as error:
            raise click.ClickException(str(error)) from error


def _of_plugins() -> Iterator[click.Command]:
    """Go through the commands of all installed plugins; tell of those that do not load."""
    for name in loader.installed():
        try:
            yield from loader.load(name).commands
        except loader.PluginError as error:
            click.echo(f"Warning: {error}", err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message=f"%(prog)s %(version)s, TAMS API {API_VERSION}")
@click.pass_context
def main(context: click.Context) -> None:
    """Serve the Time-addressable Media Store API."""
    context.obj = Openers(_open_bench, _open_import)


def _open_bench(path: Path | None, plugin: str, store: bool) -> AbstractContextManager[Bench]:
    from tams_gateway.cli.stores import bench

    return bench(path, plugin, store)


def _open_import(path: Path | None, objects: str) -> AbstractContextManager[Import]:
    from tams_gateway.cli.stores import importing

    return importing(path, objects)
