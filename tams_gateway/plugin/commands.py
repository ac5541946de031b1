"""What a command of a plugin needs: the config, its own options in it, and the metadata store."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

import click
import msgspec

from tams_gateway.plugin.provider import Context

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


def bench(path: Path | None, plugin: str, *, store: bool = True) -> AbstractContextManager[Bench]:
    """Open the metadata store of a config for a command of a plugin. Raises `ConfigError`.

    With `store=False` nothing is opened, for a command that prepares the metadata store itself.
    For use inside a command of `tams-gateway`, which has it in its click context. A `StoreError`
    inside the block ends the command with one line.
    """
    root = click.get_current_context().find_root()
    open_bench: OpenBench = root.obj
    return open_bench(path, plugin, store)
