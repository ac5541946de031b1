"""`tams-gateway restore`: a backup becomes what the store holds, also while the gateway runs."""

from pathlib import Path

import click

from tams_gateway.backup.folder import Folder
from tams_gateway.backup.restoring import restore as restored
from tams_gateway.cli.stores import opened, track
from tams_gateway.plugin.commands import config_option


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Lose what the store holds.")
@config_option
def restore(directory: Path, replace: bool, path: Path | None) -> None:
    """Put the backup in DIR into the store, all at once, also while the gateway runs."""
    with opened(path) as gateway:
        done = restored(gateway, Folder(directory), track, replace=replace)
    manifest = done.manifest
    click.echo(
        f"{manifest.segments} segments and {manifest.instances} objects of {manifest.created} are "
        f"restored; {done.written} bytes were written"
    )
