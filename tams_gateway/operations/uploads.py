"""What has been uploaded for allocated objects: whether bytes are there, and which version."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from msgspec.structs import replace

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.capabilities import KeepsVersions
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import Place, Stat

_AT_ONCE: Final = 16
"""How many questions a storage backend gets at a time."""


def look(
    gateway: Gateway, objects: Mapping[str, MediaObject]
) -> tuple[Mapping[str, MediaObject], frozenset[str]]:
    """Return the objects as their uploads are, and the ids of those whose bytes are missed.

    Where a storage backend keeps versions, an allocated object gets the one that is there now:
    later uploads do not count any more (R-STO-13). Bytes are missed only where the service insists
    on them. Backends are asked no more than that needs, and nothing of what the gateway serves
    itself, of which the record tells; an object whose backend was asked gets its size, too. Raises
    `StoreError` where one does not answer.
    """
    allocated = [one for one in objects.values() if one.state == "allocated"]
    required = gateway.limits.require_upload
    versioned = _versioned(gateway, allocated)
    asked = {
        one.id: here
        for one in allocated
        for here in one.instances
        if here.version is None
        and (required or here.storage_id in versioned)
        and media_objects.has_bytes(gateway, here)
    }
    found = _stats(gateway, asked)
    looked = dict(objects)
    for id_, stat in found.items():
        version = stat.version if asked[id_].storage_id in versioned else None
        looked[id_] = _recorded(objects[id_], asked[id_], stat.size, version)
    absent = {
        one.id
        for one in allocated
        if one.id not in found and all(here.version is None for here in one.instances)
    }
    return looked, frozenset(absent) if required else frozenset()


def _versioned(gateway: Gateway, allocated: list[MediaObject]) -> set[str]:
    """Return the backends of these objects that keep versions of what clients upload to them."""
    ids = {str(here.storage_id) for one in allocated for here in one.instances if here.controlled}
    stores = {id_: gateway.backends[id_].store for id_ in ids if id_ in gateway.backends}
    return {
        id_
        for id_, store in stores.items()
        # Of a class that does not, `issubclass` knows so at once, and `isinstance` looks anew.
        if issubclass(type(store), KeepsVersions)
        and isinstance(store, KeepsVersions)
        and store.keeps_versions()
    }


def _stats(gateway: Gateway, asked: Mapping[str, Instance]) -> dict[str, Stat]:
    """Return what the backends know of the bytes that are there, by the id of the object."""
    if not asked:
        return {}

    def stat(instance: Instance) -> Stat | None:
        try:
            return gateway.backends[str(instance.storage_id)].store.stat(Place(instance.key))
        except MissingError:
            return None

    with ThreadPoolExecutor(min(_AT_ONCE, len(asked))) as pool:
        found = zip(asked, pool.map(stat, asked.values()), strict=True)
        return {id_: one for id_, one in found if one is not None}


def _recorded(
    media_object: MediaObject, instance: Instance, size: int, version: str | None
) -> MediaObject:
    instances = tuple(
        replace(one, version=version) if one is instance else one for one in media_object.instances
    )
    return replace(media_object, instances=instances, size=size)
