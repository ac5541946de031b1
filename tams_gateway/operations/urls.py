"""`get_urls` of objects: which are shown, and their JSON (R-URL; ADR 0023, 0054).

A listing asks for 1000 of them at once, so each item is spliced from a URL and a tail that is
constant for its backend.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.domain.tags import tag_fields
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.messages import Request
from tams_gateway.operations.params import Params, TagFilter
from tams_gateway.operations.visibility import hidden_backends
from tams_gateway.storage.objects import Place

_QUOTE: Final = '"'


class UrlFilter(msgspec.Struct, frozen=True):
    """What a client wants of `get_urls`; filters drop URLs, never segments (R-URL-01)."""

    labels: tuple[str, ...] | None = None
    storage_ids: tuple[str, ...] = ()
    presigned: bool | None = None
    verbose: bool = False
    backend_tags: tuple[TagFilter, ...] = ()

    @classmethod
    def of(cls, params: Params) -> "UrlFilter":
        """Read the parameters that segments and objects share."""
        return cls(
            params.listed("accept_get_urls"),
            params.uuids("accept_storage_ids") or (),
            params.boolean("presigned"),
            params.boolean("verbose_storage") is True,
            tuple(params.tag_filters("storage_backend_tag")),
        )

    @property
    def wants_none(self) -> bool:
        """Whether `accept_get_urls` was blank: no URLs at all (R-URL-02, B17)."""
        return self.labels == ()

    def accepts(self, backend: Backend) -> bool:
        """Whether the URLs of a backend are shown."""
        return (
            (self.labels is None or backend.label in self.labels)
            and (not self.storage_ids or backend.id in self.storage_ids)
            and all(one.holds(tag_fields(backend.tags)) for one in self.backend_tags)
        )

    def accepts_uncontrolled(self, label: str) -> bool:
        """Whether an uncontrolled URL is shown: it has no storage id, tags or signature."""
        return (
            (self.labels is None or label in self.labels)
            and not self.storage_ids
            and self.presigned is not True
            and all(one.holds({}) for one in self.backend_tags)
        )


def url_lists(
    gateway: Gateway, request: Request, wanted: UrlFilter, objects: Sequence[MediaObject]
) -> list[str]:
    """Return for each object the JSON list of its URLs, presigned ones first (R-SEG-07, B8).

    Those in storage backends that the principal may not read are left out (R-AUTH-08).
    """
    # Each item with a comma before it.
    lists = [""] * len(objects)
    uncontrolled = [""] * len(objects)
    indexes: defaultdict[str, list[int]] = defaultdict(list)
    places: defaultdict[str, list[Place]] = defaultdict(list)
    for index, media_object in enumerate(objects):
        for instance in media_object.instances:
            if instance.state != "ready":
                continue
            if instance.storage_id is None:
                uncontrolled[index] += _uncontrolled(instance, wanted)
            else:
                indexes[instance.storage_id].append(index)
                places[instance.storage_id].append(Place(instance.key, instance.version))
    base = msgspec.json.encode(request.base).decode()[:-1]
    hidden = hidden_backends(gateway, request.access)
    backends = [
        one
        for one in gateway.backends.values()
        if one.id in places and one.id not in hidden and wanted.accepts(one)
    ]
    kinds = (True, False) if wanted.presigned is None else (wanted.presigned,)
    for number, presigned in enumerate(kinds):
        for backend in backends:
            if number >= backend.most_urls:
                continue
            tail = _tail(backend, presigned, wanted.verbose)
            found = backend.store.download(places[backend.id], presigned=presigned)
            for index, url in zip(indexes[backend.id], found, strict=True):
                lists[index] += f',{{"url":{base if url[0] == "/" else _QUOTE}{url}{tail}'
    return [f"[{(one + other)[1:]}]" for one, other in zip(lists, uncontrolled, strict=True)]


def _tail(backend: Backend, presigned: bool, verbose: bool) -> str:
    """Return what follows the URL text in an item (R-URL-05)."""
    shown: dict[str, object] = {"presigned": presigned, "label": backend.label}
    if verbose:
        shown = {**shown, "storage_id": backend.id, "controlled": True, **backend.verbose}
    return '",' + msgspec.json.encode(shown).decode()[1:]


def _uncontrolled(instance: Instance, wanted: UrlFilter) -> str:
    if not wanted.accepts_uncontrolled(instance.label):
        return ""
    shown: dict[str, object] = {"url": instance.url, "label": instance.label}
    if wanted.verbose:
        shown["controlled"] = False
    return "," + msgspec.json.encode(shown).decode()
