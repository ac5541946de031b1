"""Allocation of storage: object ids, and URLs to upload their bytes to (R-STO)."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.auth.access import Access, Permission, denied
from tams_gateway.domain.body import Body, Mime
from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.identifiers import Uuid, new_object_ids, path_uuid
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.domain.object_key import new_token, object_key
from tams_gateway.domain.segment import LONGEST_ID
from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations import media_objects
from tams_gateway.operations.edit import Edit
from tams_gateway.operations.flow_records import StoredFlow
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.visibility import may_use, writable_backend

_ObjectId = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]


class _Posted(msgspec.Struct, frozen=True):
    limit: int | UnsetType = UNSET
    object_ids: list[_ObjectId] | UnsetType = UNSET
    storage_id: Uuid | UnsetType = UNSET
    content_type: Mime | UnsetType = UNSET
    presigned: bool | UnsetType = UNSET
    hyphenated: msgspec.Raw | UnsetType = msgspec.field(name="content-type", default=UNSET)


_posted = Body(_Posted)


def post_storage(gateway: Gateway, request: Request) -> Response:
    """Allocate objects for a flow: all of them, or none (R-STO-01 to -11)."""
    flow_id = path_uuid(request.path["flowId"], "flow")
    edit = Edit(gateway, request)
    stored = edit.existing(flow_id, Permission.WRITE)
    # The body is optional (R-STO-02).
    posted = _posted.decode(request.body) if request.body else _Posted()
    _check(gateway, posted)
    content_type = _content_type(stored, posted)
    backend = _backend(gateway, request.access, posted)
    ids = _ids(gateway, posted, edit.now_ns)
    expires = edit.now_ns + gateway.limits.object_lifetime * SECOND
    presigned = posted.presigned is not False
    shown = []
    for object_id in ids:
        token = "" if posted.object_ids is UNSET else new_token()
        key = object_key(
            backend.template, backend.prefix, object_id, content_type, edit.now_ns, token
        )
        instance = Instance(storage_id=backend.id, key=key)
        allocated = MediaObject(
            object_id, content_type, flow_id, instances=(instance,), expires=expires
        )
        edit.add(media_objects.put(allocated))
        shown.append(_shown(request, backend, object_id, key, content_type, presigned))
    edit.hold(flow_id)
    edit.commit()
    return Response(status=201, body=msgspec.json.encode({"media_objects": shown}))


def _check(gateway: Gateway, posted: _Posted) -> None:
    if posted.hyphenated is not UNSET:
        raise Invalid.at("/content-type", "is spelt content_type in this request")
    if not isinstance(posted.limit, UnsetType):
        if posted.object_ids is not UNSET:
            raise Invalid.at("/limit", "must not be given together with object_ids")
        if posted.limit < 1:
            raise Invalid.at("/limit", "must be at least 1")
    if not isinstance(posted.object_ids, UnsetType):
        if not posted.object_ids:
            raise Invalid.at("/object_ids", "must name at least one object")
        if len(posted.object_ids) > gateway.limits.objects_max:
            raise Invalid.at("/object_ids", f"at most {gateway.limits.objects_max} at once")
        if len(set(posted.object_ids)) < len(posted.object_ids):
            raise Invalid.at("/object_ids", "an id is given twice")


def _backend(gateway: Gateway, access: Access, posted: _Posted) -> Backend:
    """Return the backend that is named, else the default or another that may be written in."""
    if not isinstance(posted.storage_id, UnsetType):
        return writable_backend(gateway, access, posted.storage_id)
    for backend in (gateway.default_backend, *gateway.backends.values()):
        if may_use(access, Permission.WRITE, backend):
            return backend
    raise denied(Permission.WRITE, "any storage backend")


def _content_type(stored: StoredFlow, posted: _Posted) -> str:
    """Return the type of the objects: the flow's container unless the client names another."""
    flow = stored.flow
    flow.check_writable()
    if isinstance(flow.container, UnsetType):
        raise Invalid(f"flow {flow.id} has no container, so it has no objects of its own")
    return flow.container if isinstance(posted.content_type, UnsetType) else posted.content_type


def _ids(gateway: Gateway, posted: _Posted, now_ns: int) -> list[str]:
    limits = gateway.limits
    if isinstance(posted.object_ids, UnsetType):
        asked = limits.objects_default if posted.limit is UNSET else posted.limit
        return new_object_ids(min(int(asked), limits.objects_max), now_ns)
    taken = media_objects.load(gateway, posted.object_ids)
    if taken:
        # Clients look for these words to tell a repeated request (B24).
        raise Invalid.at("/object_ids", f"objects {sorted(taken)} already exist")
    return posted.object_ids


def _shown(
    request: Request,
    backend: Backend,
    object_id: str,
    key: str,
    content_type: str,
    presigned: bool,
) -> dict[str, object]:
    upload = backend.store.upload(key, content_type, presigned=presigned)
    url = request.base + upload.url if upload.url.startswith("/") else upload.url
    put_url: dict[str, object] = {"url": url, "content-type": content_type}
    if upload.headers:
        put_url["headers"] = upload.headers
    return {"object_id": object_id, "put_url": put_url, "presigned": upload.presigned}
