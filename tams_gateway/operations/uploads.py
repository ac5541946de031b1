"""Whether the bytes of allocated objects have come, for a service that insists on it."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import Place

_AT_ONCE: Final = 16
"""How many questions a storage backend gets at a time."""


def absent(gateway: Gateway, objects: Iterable[MediaObject]) -> frozenset[str]:
    """Return the ids of the allocated objects whose bytes are not there.

    Of what the gateway serves itself the record tells; other backends are asked. Raises
    `StoreError` where one does not answer.
    """
    allocated = [one for one in objects if one.state == "allocated"]
    asked = {
        one.id: here
        for one in allocated
        for here in one.instances
        if media_objects.has_bytes(gateway, here) and here.version is None
    }
    told = {one.id for one in allocated if any(here.version is not None for here in one.instances)}
    if asked:
        with ThreadPoolExecutor(min(_AT_ONCE, len(asked))) as pool:
            found = pool.map(lambda here: _is_there(gateway, here), asked.values())
            told.update(id_ for id_, there in zip(asked, found, strict=True) if there)
    return frozenset(one.id for one in allocated if one.id not in told)


def _is_there(gateway: Gateway, instance: Instance) -> bool:
    try:
        gateway.backends[str(instance.storage_id)].store.stat(Place(instance.key))
    except MissingError:
        return False
    return True
