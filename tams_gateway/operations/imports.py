"""What another server kept, taken over with its ids and times, by the rules of requests.

Each call is repeatable: what is here already stays as it is. So an import that was interrupted
begins again from the start. Nobody is told of events: what is taken over is no news.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tams_gateway.auth.principal import Principal
from tams_gateway.domain.body import Body, Label
from tams_gateway.domain.errors import Invalid, NotFound, Refusal
from tams_gateway.domain.flow import parse_put
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.domain.segment import SegmentPost, parse_post
from tams_gateway.domain.source import Source
from tams_gateway.domain.tags import Tags
from tams_gateway.operations import media_objects, relations, segment_posts, webhooks
from tams_gateway.operations.deletions import new_life
from tams_gateway.operations.edit import Edit
from tams_gateway.operations.flow_records import Births, StoredFlow, read_source
from tams_gateway.operations.flows import described
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.kinds import OBJECT, SOURCE
from tams_gateway.operations.messages import Request
from tams_gateway.storage.errors import ConflictError, MissingError
from tams_gateway.storage.objects import Place, Stat
from tams_gateway.storage.query import OneOf, Query
from tams_gateway.storage.webhooks import WEBHOOK

T = TypeVar("T")

_TRIES: Final = 20
"""How often something is tried where other writers are faster."""

_AT_ONCE: Final = 16
"""How many questions the storage backend gets at a time."""


_PLACES: Final = 500
"""How many places are asked for at a time."""


class _Described(msgspec.Struct, frozen=True):
    """What a source says of itself; the rest follows from its flows."""

    label: Label | UnsetType = UNSET
    description: str | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


_described = Body(_Described)


class Import:
    """Takes resources into a gateway's stores.

    The bytes of objects lie in the storage backend `backend` already. `base` is the URL of the API
    that webhooks know. Every method raises `Refusal` for what a request would be refused for, and
    `StoreError`.
    """

    def __init__(self, gateway: Gateway, backend: Backend, base: str) -> None:
        self._backend = backend
        self._base = base
        # Bytes are looked for here, at once and at more than one key.
        limits = replace(gateway.limits, require_upload=False)
        self._gateway = replace(gateway, listening=False, limits=limits)

    def flow(self, document: bytes, births: Births, source: bytes = b"{}") -> bool:
        """Make a flow as PUT does; return whether it was not here yet.

        `source` has label, description and tags of its source, for the case that it is the first
        flow of it. Members of its collection must be here. One that is here and was made at another
        time is another flow: `Invalid`.
        """
        return _patiently(lambda: self._flow(document, births, source))

    def _flow(self, document: bytes, births: Births, source: bytes) -> bool:
        edit = Edit(self._gateway, births=births)
        sent = parse_put(document, _id_of(document))
        flow = described(self._gateway, sent, None)
        stored = edit.stored(flow.id)
        if stored is not None:
            if stored.created_ns != births.flow.created_ns:
                raise Invalid(f"another flow {flow.id} is here, made at {stored.flow.created}")
            return False
        if edit.source(flow.source_id) is None:
            own = _described.decode(source)
            made = Source(
                id=flow.source_id,
                format=flow.format,
                label=own.label,
                description=own.description,
                tags=own.tags,
            )
            edit.put_source(made, 0)
        relations.put_flow(edit, flow, new_life(self._gateway, flow.id, edit.now_ns))
        edit.commit()
        return True

    def source(self, source_id: str) -> Source | None:
        """Return a source as it is here."""
        record = self._gateway.metadata.get(SOURCE, [source_id]).get(source_id)
        return None if record is None else read_source(record).source

    def segments(
        self,
        flow_id: str,
        documents: Sequence[bytes],
        keys: Mapping[str, Sequence[str]],
        at_ns: int,
    ) -> list[Refusal | None]:
        """Add segments as POST does, to a read-only flow too; return why each one is refused.

        `keys` says for each object where its bytes may lie: they are where they are found first,
        unless they are another object's.
        What has neither bytes nor `get_urls` is refused as `NotFound`. `at_ns` is when the last of
        them came.
        """
        stored = Edit(self._gateway).stored(flow_id)
        if stored is None:
            return [NotFound(f"no flow {flow_id}")] * len(documents)
        outcomes: list[Refusal | None] = []
        posts: dict[int, SegmentPost] = {}
        for index, document in enumerate(documents):
            outcomes.append(None)
            try:
                post = parse_post(document)
                assert isinstance(post, SegmentPost)
                posts[index] = post
            except Invalid as refusal:
                outcomes[index] = refusal
        ids = dict.fromkeys(post.object_id for post in posts.values())
        known = media_objects.load(self._gateway, ids)
        new, refused = self._objects(stored, [id_ for id_ in ids if id_ not in known], keys)
        for index, post in list(posts.items()):
            if post.object_id in refused and not post.get_urls:
                outcomes[index] = refused[post.object_id]
                del posts[index]
        gateway = replace(self._gateway, now_ns=lambda: at_ns)
        if posts:
            for index, outcome in zip(posts, self._add(gateway, stored, posts, new), strict=True):
                outcomes[index] = outcome
        return outcomes

    def _add(
        self,
        gateway: Gateway,
        stored: StoredFlow,
        posts: Mapping[int, SegmentPost],
        new: Mapping[str, MediaObject],
    ) -> Sequence[Refusal | None]:
        def add() -> Sequence[Refusal | None]:
            now = Edit(gateway).stored(stored.flow.id) or stored
            return segment_posts.add(
                gateway, Request(method="POST"), now, list(posts.values()), new
            )

        try:
            return _patiently(add)
        except Invalid as refusal:
            return [refusal] * len(posts)

    def _objects(
        self, stored: StoredFlow, ids: Sequence[str], keys: Mapping[str, Sequence[str]]
    ) -> tuple[dict[str, MediaObject], dict[str, Refusal]]:
        """Return the objects whose bytes are found, and why others have none."""
        refused: dict[str, Refusal] = {id_: NotFound(_nowhere(keys.get(id_, ()))) for id_ in ids}
        container = stored.flow.container
        if not ids or not isinstance(container, str):
            return {}, refused
        with ThreadPoolExecutor(min(_AT_ONCE, len(ids))) as pool:
            looked = pool.map(lambda id_: self._find(keys.get(id_, ())), ids)
            found = dict(zip(ids, looked, strict=True))
        made: dict[str, MediaObject] = {}
        owners = self._owners([instance.place for instance, _ in filter(None, found.values())])
        for id_, one in found.items():
            if one is None:
                continue
            instance, size = one
            owner = owners.setdefault(instance.place, id_)
            if owner == id_:
                made[id_] = MediaObject(
                    id_, container, stored.flow.id, instances=(instance,), size=size
                )
                del refused[id_]
            else:
                # Who deletes one of the two would delete the bytes of both.
                refused[id_] = Invalid(f"its bytes, at {instance.key}, are those of {owner!r}")
        return made, refused

    def _owners(self, places: Sequence[str]) -> dict[str, str]:
        """Return which objects here have their bytes at the places."""
        owners: dict[str, str] = {}
        for start in range(0, len(places), _PLACES):
            where = OneOf("places", tuple(places[start : start + _PLACES]))
            # No place has two objects, so that one page has them all.
            for record in self._gateway.metadata.find(Query(OBJECT, (where,), limit=_PLACES)).items:
                media_object = media_objects.from_record(record).object
                owners |= {one.place: record.id for one in media_object.instances}
        return owners

    def _find(self, keys: Sequence[str]) -> tuple[Instance, int] | None:
        """Return the first instance whose bytes are there, and their size."""
        for key in keys:
            try:
                stat: Stat = self._backend.store.stat(Place(key))
            except MissingError:
                continue
            return Instance(self._backend.id, key, stat.version), stat.size
        return None

    def webhook(self, webhook_id: str, document: bytes, owner: Principal) -> bool:
        """Register a webhook as POST does, by its owner; return whether it was not here yet."""

        def register() -> bool:
            if self._gateway.metadata.get(WEBHOOK, [webhook_id]):
                return False
            request = Request(method="POST", body=document, principal=owner, base=self._base)
            put = webhooks.registered(self._gateway, request, webhook_id)
            self._gateway.metadata.apply([put])
            return True

        return _patiently(register)


class _Named(msgspec.Struct):
    id: str


_named = Body(_Named)


def _id_of(document: bytes) -> str:
    return _named.decode(document).id


def _nowhere(keys: Sequence[str]) -> str:
    if not keys:
        return "nothing says where its bytes are"
    return f"its bytes are not in the storage backend, at {' or '.join(keys[:4])}"


def _patiently(work: Callable[[], T]) -> T:
    """Return what the work returns, begun anew where another writer was faster."""
    for _ in range(_TRIES):
        try:
            return work()
        except ConflictError:
            continue
    return work()
