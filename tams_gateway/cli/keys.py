"""`tams-gateway keys`: the rings of secret keys, listed, rotated, thinned out; no key is shown."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.cli.stores import bench
from tams_gateway.domain.errors import Refusal
from tams_gateway.operations.keys import SIGNS_AFTER, rings
from tams_gateway.operations.keys import remove as remove_key
from tams_gateway.operations.keys import rotate as rotate_ring
from tams_gateway.plugin.commands import config_option
from tams_gateway.storage.metadata import MetadataStore

_WHO = "tams-gateway keys"
"""What the log of logins has as the name of who changed a ring."""


@click.group()
def keys() -> None:
    """Rotate the secret keys by which the gateway signs and seals."""


@keys.command("list")
@config_option
def list_keys(path: Path | None) -> None:
    """List every ring with its keys, the newest first."""
    with bench(path, "keys") as opened:
        for name, ring in sorted(rings(_store(opened.context.metadata)).items()):
            for key in ring:
                click.echo(f"{name} {key.id} made {key.created}")


@keys.command()
@click.argument("name")
@config_option
def rotate(name: str, path: Path | None) -> None:
    """Put a new key into ring NAME; the older ones go on verifying."""
    with bench(path, "keys") as opened, _refusals():
        made = rotate_ring(_store(opened.context.metadata), name, time.time_ns())
        opened.context.note(AuthEntry("keys_changed", _WHO, detail=f"{name}: new key {made.id}"))
    click.echo(f"{name} {made.id} made {made.created}; it signs in {SIGNS_AFTER} s")


@keys.command()
@click.argument("name")
@click.argument("key_id", metavar="ID")
@config_option
def remove(name: str, key_id: str, path: Path | None) -> None:
    """Take key ID out of ring NAME: what it signed or sealed holds no more."""
    with bench(path, "keys") as opened, _refusals():
        remove_key(_store(opened.context.metadata), name, key_id)
        opened.context.note(AuthEntry("keys_changed", _WHO, detail=f"{name}: key {key_id} removed"))
    click.echo(f"{name} {key_id} removed")


def _store(metadata: MetadataStore | None) -> MetadataStore:
    assert metadata is not None
    return metadata


@contextmanager
def _refusals() -> Iterator[None]:
    """End the command with one line where it asks for what may not be."""
    try:
        yield
    except Refusal as refused:
        raise click.ClickException(refused.summary) from refused
