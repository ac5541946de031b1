"""The hooks of the plugin `sqlite`."""

from pathlib import Path
from typing import Literal

import msgspec

from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway_sqlite.metadata import SqliteMetadata


class MetadataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the database is, and what an acknowledged commit survives."""

    path: str = "data/tams.db"
    """The file, relative to the current directory; missing directories are made."""
    durability: Literal["power", "process"] = "power"
    """`power`: a commit survives a power cut. `process`: a killed process, at a higher speed."""


def _open_metadata(settings: MetadataSettings, context: Context) -> MetadataStore:
    store = SqliteMetadata(Path(settings.path), durability=settings.durability)
    if store.copy is not None:
        context.log.warning("migrated", copy=str(store.copy))
    return store


@hookimpl
def tams_metadata_store() -> Provider[MetadataStore]:
    """Return the provider of the metadata store."""
    return Provider(
        name="sqlite",
        settings=MetadataSettings,
        open=_open_metadata,
        summary="metadata in one SQLite file, durable, for the workers of one machine",
        api=1,
        blocks="writes",
    )
