"""What a command of a plugin needs: the config, its own options in it, and the metadata store.

Or all stores, where it brings what another server kept.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

import click
import msgspec

from tams_gateway.operations.flow_records import Births, Origin
from tams_gateway.operations.imports import Import
from tams_gateway.plugin.provider import Context

__all__ = ["Bench", "Births", "Import", "Openers", "Origin", "bench", "config_option", "importing"]

config_option = click.option(
    "--config",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The config, in TOML. Default: TAMS_GATEWAY_CONFIG, else the embedded default.",
)
"""`--config FILE`, passed as `path`."""


class Bench(msgspec.Struct, frozen=True):
    """What a command of a plugin works on, beside a gateway that may run meanwhile."""

    context: Context
    """As the plugin gets it; `name` is that of the plugin."""
    options: Sequence[msgspec.Struct]
    """The options of each section that selects the plugin, in the order of the config."""


OpenBench: TypeAlias = Callable[[Path | None, str, bool], AbstractContextManager[Bench]]
"""Opens it by the path of the config and the name of the plugin, with the metadata store or
without; raises `ConfigError`."""

OpenImport: TypeAlias = Callable[[Path | None, str], AbstractContextManager[Import]]
"""Opens it by the path of the config and the NAME of a section `[objects.NAME]`; likewise."""


class Openers(msgspec.Struct, frozen=True):
    """What `tams-gateway` has in its click context for the commands of plugins."""

    bench: OpenBench
    importing: OpenImport


def bench(path: Path | None, plugin: str, *, store: bool = True) -> AbstractContextManager[Bench]:
    """Open the metadata store of a config for a command of a plugin. Raises `ConfigError`.

    With `store=False` nothing is opened, for a command that prepares the metadata store itself.
    For use inside a command of `tams-gateway`, which has it in its click context. A `StoreError`
    inside the block ends the command with one line.
    """
    return _openers().bench(path, plugin, store)


def importing(path: Path | None, objects: str) -> AbstractContextManager[Import]:
    """Open all stores of a config, for a command that takes over what another server kept.

    `objects` names the section of the storage backend that has the bytes already. Otherwise as
    `bench`.
    """
    return _openers().importing(path, objects)


def _openers() -> Openers:
    openers: Openers = click.get_current_context().find_root().obj
    return openers
