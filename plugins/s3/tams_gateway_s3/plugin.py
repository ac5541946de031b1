"""Registers the object store `s3`, and `tams-gateway s3`."""

from collections.abc import Sequence
from pathlib import Path

import click

from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.plugin.commands import bench, config_option
from tams_gateway.storage.objects import ObjectStore
from tams_gateway_s3.settings import Settings


def _open(settings: Settings, context: Context) -> ObjectStore:
    # botocore takes long to import, so that `tams-gateway plugins` does without.
    from tams_gateway_s3.store import S3Objects

    return S3Objects(settings, context.url_lifetime, context.now)


@hookimpl
def tams_object_store() -> Provider[ObjectStore]:
    """Return the provider of the store."""
    return Provider("s3", Settings, _open, "objects in an S3 bucket, at signed URLs", api=1)


@hookimpl
def tams_commands() -> Sequence[click.Command]:
    """Return `tams-gateway s3`."""
    return [_group]


@click.group("s3")
def _group() -> None:
    """Prepare the buckets of the config."""


@_group.command()
@config_option
@click.option(
    "--origin",
    "origins",
    multiple=True,
    default=("*",),
    show_default=True,
    metavar="ORIGIN",
    help="Whose web pages may upload and read, as https://app.example.com; may be repeated.",
)
def init(path: Path | None, origins: tuple[str, ...]) -> None:
    """Make each bucket of the config, with rules for web pages and abandoned uploads.

    What is there already stays; so do the rules of others.
    """
    from tams_gateway_s3.preparing import prepare

    with bench(path, "s3") as opened:
        if not opened.options:
            raise click.ClickException('no [objects.NAME] of the config has plugin = "s3"')
        for settings in opened.options:
            assert isinstance(settings, Settings)
            for line in prepare(settings, opened.context, origins):
                click.echo(line)
