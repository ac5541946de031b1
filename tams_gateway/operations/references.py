"""Which flows refer to an object, and what follows from that for who may use it."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from tams_gateway.auth.access import Access, Permission, denied
from tams_gateway.domain.errors import NotFound, Refusal
from tams_gateway.domain.media_object import MediaObject
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW
from tams_gateway.operations.media_objects import Stored
from tams_gateway.operations.visibility import classes_of
from tams_gateway.storage.query import UseQuery
from tams_gateway.storage.records import Record, Use


def registered(gateway: Gateway, access: Access, permission: Permission, object_id: str) -> Stored:
    """Return an object that clients may see, and the principal use; raises as `require`.

    One that only flows use whose deletion is going on is gone for clients already (R-OBJ-02).
    """
    stored = media_objects.load(gateway, [object_id]).get(object_id)
    absent = NotFound(f"no object {object_id!r}")
    if stored is None or stored.object.state != "registered":
        raise absent
    if access.everything:
        if next(live_flows(gateway, stored.object), None) is None:
            raise absent
    else:
        require(gateway, access, permission, stored.object, absent)
    return stored


def live_flows(
    gateway: Gateway, media_object: MediaObject, after: Use | None = None
) -> Iterator[tuple[Use, Record]]:
    """Yield the flows that refer to the object, those that are being deleted left out."""
    query = UseQuery(media_object.id, media_object.init, after, limit=100)
    while True:
        page = gateway.metadata.uses(query)
        records = gateway.metadata.get(FLOW, [use.flow_id for use in page.items])
        for use in page.items:
            record = records.get(use.flow_id)
            if record is not None and record.fields["life"] == use.life:
                yield use, record
        if not page.more:
            return
        query = replace(query, after=page.items[-1])


def require(
    gateway: Gateway,
    access: Access,
    permission: Permission,
    media_object: MediaObject,
    absent: Refusal,
) -> None:
    """Refuse what the principal may not do with an object.

    Who may read one of its flows may read it. A change of it meets all of its flows, so who
    changes it must be permitted to write each: else it were enough to read an object, and to
    refer to it from a flow of one's own. Raises `absent` where the principal may do nothing with
    any of the flows, else `Forbidden`.
    """
    if access.everything:
        return
    known, every = False, True
    for record in _flows(gateway, media_object):
        classes = classes_of(record)
        if access.may(permission, classes):
            if permission is Permission.READ:
                return
            known = True
        else:
            every = False
            known = known or access.any(classes)
    if not known:
        raise absent
    if not every:
        raise denied(permission, f"object {media_object.id!r}")


def _flows(gateway: Gateway, media_object: MediaObject) -> Iterator[Record]:
    """Yield the flows of an object: of one that is just allocated, that which it is for."""
    if media_object.state == "allocated":
        yield from gateway.metadata.get(FLOW, [media_object.flow_id]).values()
    else:
        for _, record in live_flows(gateway, media_object):
            yield record


def hidden(
    gateway: Gateway, access: Access, flow_id: str, objects: Iterable[MediaObject]
) -> frozenset[str]:
    """Return the ids of objects that are as unknown ones for who posts to a flow (R-AUTH-07).

    Objects of the flow itself are known to whoever may write it.
    """
    if access.everything:
        return frozenset()
    return frozenset(
        one.id
        for one in objects
        if not any(
            record.id == flow_id or access.may(Permission.READ, classes_of(record))
            for record in _flows(gateway, one)
        )
    )
