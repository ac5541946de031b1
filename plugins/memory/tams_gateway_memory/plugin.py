"""The hooks of the plugin `memory`."""

import msgspec

from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_memory.objects import MemoryObjects


class MetadataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metadata store has no options."""


class ObjectsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The object store has no options of its own."""


def _open_metadata(settings: MetadataSettings, context: Context) -> MetadataStore:
    return MemoryMetadata()


def _open_objects(settings: ObjectsSettings, context: Context) -> ObjectStore:
    urls = MediaUrls(context.name, context.keys("media"), context.url_lifetime, context.now)
    return MemoryObjects(urls)


@hookimpl
def tams_metadata_store() -> Provider[MetadataStore]:
    """Return the provider of the metadata store."""
    return Provider(
        name="memory",
        settings=MetadataSettings,
        open=_open_metadata,
        summary="metadata in the memory of one process, gone when it ends",
        api=1,
        shared=False,
        blocks=False,
    )


@hookimpl
def tams_object_store() -> Provider[ObjectStore]:
    """Return the provider of the object store."""
    return Provider(
        name="memory",
        settings=ObjectsSettings,
        open=_open_objects,
        summary="objects in the memory of one process, served by the gateway itself",
        api=1,
        shared=False,
        blocks=False,
    )
