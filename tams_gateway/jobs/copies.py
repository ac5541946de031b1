"""Instances of objects: copied to another storage backend, or withdrawn and deleted (R-INS)."""

from collections.abc import Iterator
from contextlib import closing

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.jobs.collection import delete_bytes
from tams_gateway.jobs.due import AGAIN_NS, first_due
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.instances import new_copy
from tams_gateway.operations.kinds import OBJECT
from tams_gateway.storage.capabilities import SupportsCopy
from tams_gateway.storage.errors import ConflictError, MissingError, StoreError
from tams_gateway.storage.objects import ObjectStore, Place, Stat


def settle(gateway: Gateway, lease: Lease, log: FilteringBoundLogger) -> bool:
    """Copy or delete the instances of one object; return whether there was one.

    What is half done when the process dies is done again.
    """
    due = first_due(gateway, OBJECT)
    if due is None:
        return False
    media_object = media_objects.from_record(due).object
    for instance in media_object.instances:
        if instance.state == "ready":
            continue
        try:
            settled = _settled(gateway, lease, media_object, instance)
        except StoreError as error:
            log.error(
                "instance_failed",
                object_id=media_object.id,
                state=instance.state,
                error=str(error),
            )
            settled = (instance,)
        _note(gateway, lease, media_object.id, instance, settled)
    return True


def _settled(
    gateway: Gateway, lease: Lease, media_object: MediaObject, instance: Instance
) -> tuple[Instance, ...]:
    """Return what takes the place of the instance: none once it is deleted, or ready once copied.

    Where something is at the key of a copy, a process died between these bytes and its note, or
    sleeps there. So that whatever it does if it wakes is in vain, the key is given up with all
    that is at it, and the copy gets another.
    """
    if instance.state == "copying":
        storage_id = str(instance.storage_id)
        backend = gateway.backends.get(storage_id)
        if backend is None:
            raise StoreError(f"storage backend {storage_id} is not configured")
        if _is_taken(backend.store, instance.key):
            given_up = replace(instance, state="withdrawn")
            return given_up, new_copy(gateway, media_object, backend)
        stat = _copy(gateway, lease, media_object, instance)
        return (replace(instance, state="ready", version=stat.version),)
    reasons = delete_bytes(gateway, [instance])
    if reasons:
        raise StoreError(reasons[instance.place])
    return ()


def _is_taken(store: ObjectStore, key: str) -> bool:
    try:
        store.stat(Place(key))
    except MissingError:
        return False
    return True


def _note(
    gateway: Gateway,
    lease: Lease,
    object_id: str,
    before: Instance,
    settled: tuple[Instance, ...],
) -> None:
    """Put the outcome on the object as it is by now: segments that come and go change it too.

    Where the instance is no more what it was, a copy that was made goes again: that version
    alone, for another process may have made the one that counts while this one slept.
    """
    while True:
        stored = media_objects.load(gateway, [object_id]).get(object_id)
        if stored is None or before not in stored.object.instances:
            for made in settled:
                if made.version != before.version:
                    store = gateway.backends[str(made.storage_id)].store
                    store.delete([Place(made.key, made.version)])
            return
        others = [one for one in stored.object.instances if one != before]
        instances = (*others, *settled)
        due: int | None = gateway.now_ns() + (AGAIN_NS if settled == (before,) else 0)
        if all(one.state == "ready" for one in instances):
            due = None
        changed = replace(stored.object, instances=instances, due=due)
        lease.keep()
        try:
            gateway.metadata.apply([lease.expected(), media_objects.put(changed, stored.version)])
        except ConflictError:
            continue
        return


def _copy(gateway: Gateway, lease: Lease, media_object: MediaObject, target: Instance) -> Stat:
    sources = [one for one in media_object.instances if one.controlled and one.state == "ready"]
    if not sources:
        raise StoreError("there is no instance left to copy from")
    source = sources[0]
    if source.storage_id not in gateway.backends:
        raise StoreError(f"storage backend {source.storage_id} is not configured")
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
