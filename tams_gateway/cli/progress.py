"""What long commands show while they work, and how their failures are told."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from tams_gateway.backup.folder import BackupError
from tams_gateway.storage.errors import StoreError

T = TypeVar("T")


def track(label: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Pass items on, with a bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
    else:
        length = total or None
        with click.progressbar(items, length=length, label=label, file=sys.stderr) as bar:
            yield from bar


@contextmanager
def failures() -> Iterator[None]:
    """End the command with one line where a backup or a store fails."""
    try:
        yield
    except (BackupError, StoreError) as error:
        raise click.ClickException(str(error)) from error
