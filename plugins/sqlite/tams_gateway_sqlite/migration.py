"""Brings a database of an earlier schema to the present one, whole or not at all."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tams_gateway.storage.errors import StoreError
from tams_gateway_sqlite import schema, step_1

STEPS: Final[Mapping[int, Callable[[sqlite3.Connection], None]]] = {1: step_1.step}
"""For each earlier version what makes the next one of it, inside a transaction."""


def migrate(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """Migrate the database at `path`, after a copy beside it; return where that is.

    The caller holds the turn. Raises `StoreError` for a version without a way to the present one.
    """
    steps = range(version, schema.VERSION)
    if not steps or not STEPS.keys() >= set(steps):
        raise StoreError(
            f"{path}: has schema {version}, and this release knows {schema.VERSION}; install the"
            " release of tams-gateway-sqlite that wrote it, or restore a backup"
        )
    copy = _copy(connection, path, version)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in steps:
            STEPS[step](connection)
        connection.execute(f"PRAGMA user_version = {schema.VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return copy


def _copy(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy the database to a name that nothing has; it is on the disk on return."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = Path(f"{path}-schema{version}-{moment}")
    descriptor = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
        os.fsync(descriptor)
    except BaseException:
        copy.unlink()
        raise
    finally:
        os.close(descriptor)
    return copy
