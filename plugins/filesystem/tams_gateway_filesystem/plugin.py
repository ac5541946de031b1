"""The hook of the plugin `filesystem`."""

from pathlib import Path
from typing import Literal

import msgspec

from tams_gateway.plugin import Context, Provider, hookimpl
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import ObjectStore
from tams_gateway_filesystem.store import FilesystemObjects


class FilesystemSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `[objects.NAME]` section with `plugin = "filesystem"`.

    `path` is a directory, relative to the current one. With the durability `power` an upload is
    on the disk before it is acknowledged; with `process` it survives the end of every process,
    but perhaps not a power cut.
    """

    path: str = "data/objects"
    durability: Literal["power", "process"] = "power"


def _open(settings: FilesystemSettings, context: Context) -> ObjectStore:
    urls = MediaUrls(context.name, context.keys("media"), context.url_lifetime, context.now)
    durable = settings.durability == "power"
    return FilesystemObjects(Path(settings.path), urls, durable=durable, now=context.now)


@hookimpl
def tams_object_store() -> Provider[ObjectStore]:
    """Return the provider of the object store."""
    return Provider(
        name="filesystem",
        settings=FilesystemSettings,
        open=_open,
        summary="objects as files of one directory, served by the gateway itself",
        api=1,
        blocks="writes",
    )
