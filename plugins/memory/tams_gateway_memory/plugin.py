"""The hooks of the plugin `memory`."""

import msgspec

from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway_memory.metadata import MemoryMetadata


class MetadataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metadata store has no options."""


def _open_metadata(settings: MetadataSettings, context: Context) -> MetadataStore:
    return MemoryMetadata()


@hookimpl
def tams_metadata_store() -> Provider[MetadataStore]:
    """Return the provider of the metadata store."""
    return Provider(
        name="memory",
        settings=MetadataSettings,
        open=_open_metadata,
        summary="metadata in the memory of one process, gone when it ends",
        shared=False,
        blocks=False,
    )
