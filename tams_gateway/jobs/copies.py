"""Instances of objects: copied to another storage backend, or withdrawn and deleted (R-INS)."""

from collections.abc import Iterator
from contextlib import closing

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.jobs.collection import AGAIN_NS, delete_bytes
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import OBJECT
from tams_gateway.storage.capabilities import SupportsCopy
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.objects import Place, Stat
from tams_gateway.storage.query import Below, Query, Sort


def settle(gateway: Gateway, lease: Lease, log: FilteringBoundLogger) -> bool:
    """Copy or delete the instances of one object; return whether there was one.

    What is half done when the process dies is done again: a copy is a new version each time.
    """
    query = Query(OBJECT, (Below("due", gateway.now_ns() + 1),), Sort("due"), limit=1)
    due = gateway.metadata.find(query).items
    if not due:
        return False
    stored = media_objects.from_record(due[0])
    changed = stored.object
    failed = False
    for instance in stored.object.instances:
        try:
            changed = _settled(gateway, lease, changed, instance)
        except StoreError as error:
            failed = True
            log.error(
                "instance_failed", object_id=changed.id, state=instance.state, error=str(error)
            )
    later = gateway.now_ns() + AGAIN_NS if failed else None
    put = media_objects.put(replace(changed, due=later), stored.version)
    gateway.metadata.apply([lease.expected(), put])
    return True


def _settled(
    gateway: Gateway, lease: Lease, media_object: MediaObject, instance: Instance
) -> MediaObject:
    if instance.state == "ready":
        return media_object
    others = tuple(one for one in media_object.instances if one != instance)
    if instance.state == "copying":
        stat = _copy(gateway, lease, media_object, instance)
        copied = replace(instance, state="ready", version=stat.version)
        return replace(media_object, instances=(*others, copied))
    reasons = delete_bytes(gateway, [instance])
    if reasons:
        raise StoreError(reasons[instance.place])
    return replace(media_object, instances=others)


def _copy(gateway: Gateway, lease: Lease, media_object: MediaObject, target: Instance) -> Stat:
    sources = [one for one in media_object.instances if one.controlled and one.state == "ready"]
    if not sources:
        raise StoreError("there is no instance left to copy from")
    source = sources[0]
    for storage_id in (source.storage_id, target.storage_id):
        if storage_id not in gateway.backends:
            raise StoreError(f"storage backend {storage_id} is not configured")
    reader = gateway.backends[str(source.storage_id)].store
    writer = gateway.backends[str(target.storage_id)].store
    place = Place(source.key, source.version)
    if isinstance(writer, SupportsCopy):
        stat = writer.copy(target.key, media_object.content_type, reader, place)
        if stat is not None:
            return stat
    with closing(reader.read(place)) as chunks:
        stat = writer.write(target.key, media_object.content_type, _kept(chunks, lease))
    if media_object.sha256 not in (None, stat.sha256):
        raise StoreError(f"the copy of {media_object.id!r} differs from what was uploaded")
    return stat


def _kept(chunks: Iterator[bytes], lease: Lease) -> Iterator[bytes]:
    """Pass the chunks on, renewing the lease meanwhile: a copy may take longer than it holds."""
    for chunk in chunks:
        lease.keep()
        yield chunk
