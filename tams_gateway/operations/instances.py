"""Instances of objects: copies in other storage backends, and URLs elsewhere (R-INS)."""

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tams_gateway.auth.access import Access, Permission, denied
from tams_gateway.domain.body import Body, Label, UrlText
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.identifiers import Uuid
from tams_gateway.domain.media_object import MOST_INSTANCES, Instance, MediaObject
from tams_gateway.domain.object_key import new_token, object_key
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.operations.references import registered
from tams_gateway.operations.visibility import hidden_backends, knows, may_use, writable_backend


class _Posted(msgspec.Struct, frozen=True):
    storage_id: Uuid | UnsetType = UNSET
    url: UrlText | UnsetType = UNSET
    label: Label | UnsetType = UNSET


_posted = Body(_Posted)


def post_instance(gateway: Gateway, request: Request) -> Response:
    """Ask for a copy in a storage backend, or note a URL elsewhere (R-INS-01 to -04)."""
    stored = registered(gateway, request.access, Permission.WRITE, request.path["objectId"])
    access = request.access
    posted = _posted.decode(request.body)
    uncontrolled = posted.url is not UNSET and posted.label is not UNSET
    if (posted.storage_id is not UNSET) == uncontrolled:
        raise Invalid.at("", "either storage_id is needed, or both url and label")
    if isinstance(posted.storage_id, str):
        changed = _copying(gateway, access, stored.object, posted.storage_id)
    else:
        assert isinstance(posted.url, str)
        assert isinstance(posted.label, str)
        changed = _noted(gateway, stored.object, posted.url, posted.label)
    gateway.metadata.apply([media_objects.put(changed, stored.version)])
    gateway.wake()
    return Response(status=201)


def _copying(
    gateway: Gateway, access: Access, media_object: MediaObject, storage_id: str
) -> MediaObject:
    """Return the object with an instance that the runner is to copy."""
    backend = writable_backend(gateway, access, storage_id)
    if any(one.storage_id == storage_id for one in media_object.instances):
        raise Invalid.at("/storage_id", "the object has an instance there, or one being deleted")
    hidden = hidden_backends(gateway, access)
    if not any(
        media_objects.has_bytes(gateway, one) and one.storage_id not in hidden
        for one in media_object.instances
    ):
        # A server-side fetch of a URL that a client chose is an attack waiting (G-11), and a copy
        # out of a backend that the client may not read would let it read what is there.
        raise Invalid.at("/storage_id", "the object has no uploaded instance to copy from")
    instance = new_copy(gateway, media_object, backend)
    return replace(
        media_object, instances=(*media_object.instances, instance), due=gateway.now_ns()
    )


def new_copy(gateway: Gateway, media_object: MediaObject, backend: Backend) -> Instance:
    """Return an instance that the runner is to copy, at a key that nothing was ever at."""
    key = object_key(
        backend.template,
        backend.prefix,
        media_object.id,
        media_object.content_type,
        gateway.now_ns(),
        new_token(),
    )
    return Instance(storage_id=backend.id, key=key, state="copying")


def _noted(gateway: Gateway, media_object: MediaObject, url: str, label: str) -> MediaObject:
    """Return the object with an uncontrolled instance; labels are unique (R-INS-03)."""
    if any(backend.label == label for backend in gateway.backends.values()):
        raise Invalid.at("/label", f"{label!r} belongs to a storage backend")
    if any(not one.controlled and one.label == label for one in media_object.instances):
        raise Invalid.at("/label", f"the object has an instance {label!r}")
    if len(media_object.instances) >= MOST_INSTANCES:
        raise Invalid.at("", f"an object has at most {MOST_INSTANCES} instances")
    return replace(
        media_object, instances=(*media_object.instances, Instance(url=url, label=label))
    )


def delete_instance(gateway: Gateway, request: Request) -> Response:
    """Withdraw an instance; its bytes go after it is no more advertised (R-INS-05 to -07)."""
    stored = registered(gateway, request.access, Permission.WRITE, request.path["objectId"])
    params = Params(request.query)
    storage_id, label = params.uuid("storage_id"), params.text("label")
    if storage_id is None and label is None:
        raise Invalid("query parameter storage_id or label: one of the two is required")
    instance = _named(gateway, request.access, stored.object, storage_id, label)
    others = [one for one in stored.object.instances if one != instance]
    if not any(one.state == "ready" for one in others):
        raise Invalid("the last instance of an object cannot be deleted")
    changed = replace(stored.object, instances=tuple(others))
    if instance.controlled:
        withdrawn = replace(instance, state="withdrawn")
        changed = replace(changed, instances=(*others, withdrawn), due=gateway.now_ns())
    gateway.metadata.apply([media_objects.put(changed, stored.version)])
    gateway.wake()
    return Response(status=204)


def _named(
    gateway: Gateway,
    access: Access,
    media_object: MediaObject,
    storage_id: str | None,
    label: str | None,
) -> Instance:
    """Return the one instance that both parameters name, to remove it."""
    there = [
        one
        for one in media_object.instances
        if one.state != "withdrawn" and _known(gateway, access, one)
    ]
    found = [
        one
        for one in there
        if (storage_id is None or one.storage_id == storage_id)
        and (label is None or _label(gateway, one) == label)
    ]
    if found:
        backend = gateway.backends.get(found[0].storage_id or "")
        if backend is not None and not may_use(access, Permission.WRITE, backend):
            raise denied(Permission.WRITE, f"in storage backend {backend.id}")
        return found[0]
    if storage_id is not None and label is not None:
        _refuse_mismatch(gateway, there, storage_id, label)
    raise NotFound(f"object {media_object.id!r} has no such instance")


def _known(gateway: Gateway, access: Access, instance: Instance) -> bool:
    backend = gateway.backends.get(instance.storage_id or "")
    return backend is None or knows(access, backend)


def _refuse_mismatch(
    gateway: Gateway, instances: list[Instance], storage_id: str, label: str
) -> None:
    if any(one.storage_id == storage_id or _label(gateway, one) == label for one in instances):
        raise Invalid.parameter("label", "names another instance than storage_id")


def _label(gateway: Gateway, instance: Instance) -> str:
    if instance.storage_id is None:
        return instance.label
    backend = gateway.backends.get(instance.storage_id)
    return "" if backend is None else backend.label
