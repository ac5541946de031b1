"""Collection of objects: those never registered in time, and those no longer used."""

from collections import defaultdict

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from tams_gateway.domain.media_object import Instance
from tams_gateway.jobs.due import AGAIN_NS
from tams_gateway.jobs.lease import Lease
from tams_gateway.jobs.portions import Portions
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import OBJECT
from tams_gateway.operations.media_objects import Stored
from tams_gateway.storage.changes import Change, Delete
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.objects import Place
from tams_gateway.storage.query import Below, Query, Sort

_PORTION = 25
"""How many objects go in one step: requests wait for a turn at the interpreter meanwhile."""

_portions = Portions()
"""Of this process, of which one thread does this job."""


def collect(gateway: Gateway, lease: Lease, log: FilteringBoundLogger) -> bool:
    """Collect the objects whose time has come; return whether there were any.

    An object is taken out of reach first, by its version, so that a registration or an upload
    that races with this fails or wins cleanly; then its bytes go, and last its record.
    """
    with _portions as number:
        return _collect(gateway, lease, log, number * _PORTION)


def _collect(gateway: Gateway, lease: Lease, log: FilteringBoundLogger, limit: int) -> bool:
    query = Query(OBJECT, (Below("expires", gateway.now_ns()),), Sort("expires"), limit=limit)
    found = [media_objects.from_record(record) for record in gateway.metadata.find(query).items]
    abandoned = [one for one in found if one.object.state == "allocated"]
    if abandoned:
        gateway.metadata.apply(
            [
                lease.expected(),
                *(
                    media_objects.put(replace(one.object, state="collected"), one.version)
                    for one in abandoned
                ),
            ]
        )
        return True
    if found:
        _delete(gateway, lease, log, found)
    return bool(found)


def _delete(gateway: Gateway, lease: Lease, log: FilteringBoundLogger, found: list[Stored]) -> None:
    instances = [instance for one in found for instance in one.object.instances]
    lease.keep()
    failed = delete_bytes(gateway, instances)
    later = gateway.now_ns() + AGAIN_NS
    changes: list[Change] = []
    for one in found:
        reasons = [failed[here.place] for here in one.object.instances if here.place in failed]
        if reasons:
            log.error("collection_failed", object_id=one.object.id, error=reasons[0])
            changes.append(media_objects.put(replace(one.object, expires=later), one.version))
        else:
            changes.append(media_objects.delete(one))
    gateway.metadata.apply([lease.expected(), *changes])
    collected = sum(isinstance(change, Delete) for change in changes)
    if collected:
        log.info("objects_collected", count=collected)


def delete_bytes(gateway: Gateway, instances: list[Instance]) -> dict[str, str]:
    """Delete the bytes of controlled instances, every version of them.

    Return the reason for each `place` whose bytes may still be there.
    """
    by_backend: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        if instance.storage_id is not None:
            by_backend[instance.storage_id].append(instance)
    failed: dict[str, str] = {}
    for storage_id, there in by_backend.items():
        backend = gateway.backends.get(storage_id)
        if backend is None:
            failed |= {one.place: "its storage backend is not configured" for one in there}
            continue
        try:
            kept = backend.store.delete([Place(one.key) for one in there])
        except StoreError as error:
            failed |= {one.place: str(error) for one in there}
        else:
            failed |= {f"{storage_id}/{place.key}": reason for place, reason in kept.items()}
    return failed
