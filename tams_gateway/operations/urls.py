"""`get_urls` of objects: which are shown, and their JSON (R-URL; ADR 0023, 0054).

A listing asks for 1000 of them at once, so each item is spliced from a URL and a tail that is
constant for its backend.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.domain.tags import tag_fields
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.messages import Request
from tams_gateway.operations.params import Params, TagFilter
from tams_gateway.storage.objects import Place


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
    """Return for each object the JSON list of its URLs, presigned ones first (R-SEG-07, B8)."""
    # Each item with a comma before it.
    signed = [""] * len(objects)
    plain = [""] * len(objects)
    indexes: defaultdict[str, list[int]] = defaultdict(list)
    places: defaultdict[str, list[Place]] = defaultdict(list)
    for index, media_object in enumerate(objects):
        for instance in media_object.instances:
            if instance.state != "ready":
                continue
            if instance.storage_id is None:
                if wanted.accepts_uncontrolled(instance.label):
                    plain[index] += "," + _uncontrolled(instance, wanted.verbose)
                continue
            indexes[instance.storage_id].append(index)
            places[instance.storage_id].append(Place(instance.key, instance.version))
    base = msgspec.json.encode(request.base).decode()[:-1]
    for storage_id, wanted_places in places.items():
        backend = gateway.backends.get(storage_id)
        if backend is None or not wanted.accepts(backend):
            continue
        tails = _tails(backend, wanted.verbose)
        found = backend.store.download(wanted_places, wanted.presigned)
        for index, urls in zip(indexes[storage_id], found, strict=True):
            for one in urls:
                head = base if one.url[0] == "/" else '"'
                to = signed if one.presigned else plain
                to[index] += f',{{"url":{head}{one.url}{tails[one.presigned]}'
    return [f"[{(first + then)[1:]}]" for first, then in zip(signed, plain, strict=True)]


def _tails(backend: Backend, verbose: bool) -> Mapping[bool, str]:
    """Return what follows the URL text in an item, for presigned ones and others (R-URL-05)."""
    shown: dict[str, object] = {"label": backend.label}
    if verbose:
        shown = {**shown, "storage_id": backend.id, "controlled": True, **backend.verbose}
    rest = msgspec.json.encode(shown).decode()[1:]
    return {True: f'","presigned":true,{rest}', False: f'","presigned":false,{rest}'}


def _uncontrolled(instance: Instance, verbose: bool) -> str:
    shown: dict[str, object] = {"url": instance.url, "label": instance.label}
    if verbose:
        shown["controlled"] = False
    return msgspec.json.encode(shown).decode()
