"""Options that several commands share."""

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The config, in TOML. Default: TAMS_GATEWAY_CONFIG, else the embedded default.",
)
"""`--config FILE`, passed as `path`."""
