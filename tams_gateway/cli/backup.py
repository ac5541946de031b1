"""`tams-gateway backup`: a copy of all metadata and objects, while the gateway runs."""

import sys
from pathlib import Path

import click

from tams_gateway.backup.folder import Folder
from tams_gateway.backup.making import make
from tams_gateway.cli.stores import opened, track
from tams_gateway.plugin.commands import config_option


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@config_option
def backup(directory: Path, path: Path | None) -> None:
    """Copy all metadata and objects into DIR, while the gateway runs.

    A DIR that holds a backup gets what is new. The exit status is 1 if objects are damaged.
    """
    with opened(path) as gateway:
        made = make(gateway, Folder(directory), track)
    manifest = made.manifest
    click.echo(
        f"{manifest.segments} segments and {manifest.instances} objects are in {directory}; "
        f"{made.copied} bytes were copied"
    )
    for fault in made.faults:
        click.echo(f"DAMAGED: {fault}", err=True)
    if made.faults:
        sys.exit(1)
