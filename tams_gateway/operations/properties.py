"""Single properties of sources and flows, each under a path of its own (R-SRC-04, R-FPR)."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from tams_gateway.auth.access import Permission
from tams_gateway.domain.body import Body, Label, Natural
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.flow import CollectionItem, Flow
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.domain.source import Source
from tams_gateway.domain.tags import Tags, TagValue
from tams_gateway.operations import relations
from tams_gateway.operations.edit import Edit
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.visibility import shown_items

T = TypeVar("T")
Operation: TypeAlias = Callable[[Gateway, Request], Response]

_label: Body[str] = Body(Label)
_text = Body(str)
_flag = Body(bool)
_natural: Body[int] = Body(Natural)
_tag: Body[TagValue] = Body(TagValue)  # type: ignore[arg-type]
_collection: Body[tuple[CollectionItem, ...]] = Body(tuple[CollectionItem, ...])

_DONE = 204
_EMPTY = {"label": "", "description": "", "flow_collection": [], "read_only": False, "tags": {}}
"""What an unset property reads as; a bit rate reads `null` (G-06)."""


def _load(edit: Edit, request: Request, permission: Permission) -> Flow | Source:
    """Return what the path names; raises `NotFound`, and `Forbidden` for too little permission."""
    if "flowId" in request.path:
        return edit.existing(path_uuid(request.path["flowId"], "flow"), permission).flow
    return edit.existing_source(path_uuid(request.path["sourceId"], "source"), permission).source


def _store(edit: Edit, owner: Flow | Source, name: str, value: object) -> Response:
    """Store the owner with a new value; the same value changes nothing at all (G-16)."""
    changed = replace(owner, **{name: value})
    if isinstance(owner, Flow) and isinstance(changed, Flow) and name == "flow_collection":
        changed = relations.as_seen(edit, owner, changed, "")
    if changed != owner:
        if isinstance(changed, Flow):
            relations.put_flow(edit, changed, collection_at="")
        else:
            edit.put_source(changed)
        edit.commit()
    return Response(status=_DONE)


def _writable(owner: Flow | Source, name: str) -> None:
    if isinstance(owner, Source):
        return
    if name != "read_only":
        owner.check_writable()
    if name == "avg_bit_rate" and owner.profile_id:
        raise Invalid(f"avg_bit_rate comes from profile {owner.profile_id}, as all technical data")


def getter(name: str) -> Operation:
    """Return the operation that reads a property; an unset one is 200 (R-SRC-05, R-FPR-03)."""

    def get(gateway: Gateway, request: Request) -> Response:
        owner = _load(Edit(gateway, request), request, Permission.READ)
        value = getattr(owner, name)
        if name == "flow_collection" and value and not request.access.everything:
            value = shown_items(gateway, request.access, value)
        shown = _EMPTY.get(name) if value is UNSET else value
        return Response(body=msgspec.json.encode(shown))

    return get


def setter(name: str, body: Body[T]) -> Operation:
    """Return the operation that sets a property to the body's value."""

    def put(gateway: Gateway, request: Request) -> Response:
        edit = Edit(gateway, request)
        owner = _load(edit, request, Permission.WRITE)
        value = body.decode(request.body)
        _writable(owner, name)
        return _store(edit, owner, name, value)

    return put


def remover(name: str) -> Operation:
    """Return the operation that unsets a property, set or not (R-FPR-03)."""

    def delete(gateway: Gateway, request: Request) -> Response:
        edit = Edit(gateway, request)
        owner = _load(edit, request, Permission.WRITE)
        _writable(owner, name)
        return _store(edit, owner, name, UNSET)

    return delete


def _tags(owner: Flow | Source) -> Tags:
    return owner.tags if isinstance(owner.tags, dict) else {}


def get_tag(gateway: Gateway, request: Request) -> Response:
    """Return the value of one tag; an absent one is 404 (R-FPR-02)."""
    tags = _tags(_load(Edit(gateway, request), request, Permission.READ))
    name = request.path["name"]
    if name not in tags:
        raise NotFound(f"no tag {name!r}")
    return Response(body=msgspec.json.encode(tags[name]))


def put_tag(gateway: Gateway, request: Request) -> Response:
    """Create or replace one tag (R-FPR-01)."""
    edit = Edit(gateway, request)
    owner = _load(edit, request, Permission.WRITE)
    value = _tag.decode(request.body)
    _writable(owner, "tags")
    return _store(edit, owner, "tags", {**_tags(owner), request.path["name"]: value})


def delete_tag(gateway: Gateway, request: Request) -> Response:
    """Remove one tag; an absent one is 404 (R-SRC-06, R-FPR-02)."""
    edit = Edit(gateway, request)
    owner = _load(edit, request, Permission.WRITE)
    tags = dict(_tags(owner))
    if tags.pop(request.path["name"], None) is None:
        raise NotFound(f"no tag {request.path['name']!r}")
    _writable(owner, "tags")
    return _store(edit, owner, "tags", tags or UNSET)


get_tags = getter("tags")
get_label, put_label, delete_label = getter("label"), setter("label", _label), remover("label")
get_description, put_description, delete_description = (
    getter("description"),
    setter("description", _text),
    remover("description"),
)
get_read_only, put_read_only = getter("read_only"), setter("read_only", _flag)
get_flow_collection, put_flow_collection, delete_flow_collection = (
    getter("flow_collection"),
    setter("flow_collection", _collection),
    remover("flow_collection"),
)
get_max_bit_rate, put_max_bit_rate, delete_max_bit_rate = (
    getter("max_bit_rate"),
    setter("max_bit_rate", _natural),
    remover("max_bit_rate"),
)
get_avg_bit_rate, put_avg_bit_rate, delete_avg_bit_rate = (
    getter("avg_bit_rate"),
    setter("avg_bit_rate", _natural),
    remover("avg_bit_rate"),
)
