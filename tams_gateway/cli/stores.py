"""What the commands on whole stores share: how they open them, what they show, how they fail."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from tams_gateway import assembly
from tams_gateway.backup.folder import BackupError
from tams_gateway.config_file import ConfigError
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.imports import Import
from tams_gateway.plugin.commands import Bench
from tams_gateway.selection import Selected, select
from tams_gateway.settings import load
from tams_gateway.storage.errors import StoreError

T = TypeVar("T")


@contextmanager
def opened(path: Path | None) -> Iterator[Gateway]:
    """Open the stores of a config, beside a gateway that may run on them.

    Raises `ConfigError` also where they live in the process of the gateway.
    """
    settings = load(path, os.environ)
    selection = select(settings)
    stores: list[Selected[Any]] = [selection.metadata, *(one for _, one in selection.objects)]
    for one in stores:
        if not one.shared:
            raise ConfigError(f"{one.key}: plugin {one.plugin!r} keeps its data in one process")
    # What reads or replaces a whole store asks for capabilities of the store itself.
    service = replace(settings.service, audit=False)
    with closing(assembly.assemble(replace(settings, service=service))) as made, failures():
        yield made.gateway


@contextmanager
def importing(path: Path | None, objects: str) -> Iterator[Import]:
    """Open the stores for a command that takes over what another server kept."""
    settings = load(path, os.environ)
    service, serve = settings.service, settings.serve
    with opened(path) as gateway:
        backends = {backend.name: backend for backend in gateway.backends.values()}
        if objects not in backends:
            known = ", ".join(f"[objects.{name}]" for name in backends)
            raise ConfigError(f"no [objects.{objects}] in the config, which has {known}")
        base = service.public_url or f"http://{serve.host}:{serve.port}"
        yield Import(gateway, backends[objects], base)


@contextmanager
def bench(path: Path | None, plugin: str, store: bool = True) -> Iterator[Bench]:
    """Open the metadata store for a command of a plugin; what it raises ends the command."""
    with assembly.bench(load(path, os.environ), plugin, store) as made, failures():
        yield made


@contextmanager
def failures() -> Iterator[None]:
    """End the command with one line where a backup or a store fails."""
    try:
        yield
    except (BackupError, StoreError) as error:
        raise click.ClickException(str(error)) from error


def track(label: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Pass items on, with a bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
    else:
        length = total or None
        with click.progressbar(items, length=length, label=label, file=sys.stderr) as bar:
            yield from bar
