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
from tams_gateway.operations.kinds import SOURCE
from tams_gateway.operations.messages import Request
from tams_gateway.storage.errors import ConflictError, MissingError
from tams_gateway.storage.objects import Place, Stat
from tams_gateway.storage.webhooks import WEBHOOK

T = TypeVar("T")

_TRIES: Final = 20
"""How often something is tried where other writers are faster."""

_AT_ONCE: Final = 16
"""How many questions the storage backend gets at a time."""


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
        flow of it. Members of its collection must be here.
        """
        return _patiently(lambda: self._flow(document, births, source))

    def _flow(self, document: bytes, births: Births, source: bytes) -> bool:
        edit = Edit(self._gateway, births=births)
        sent = parse_put(document, _id_of(document))
        flow = described(self._gateway, sent, None)
        if edit.stored(flow.id) is not None:
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

        `keys` says for each object where its bytes may lie: they are where they are found first.
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
        new = self._objects(stored, list(posts.values()), keys)
        known = media_objects.load(self._gateway, {one.object_id for one in posts.values()})
        for index, post in list(posts.items()):
            if post.object_id not in new and post.object_id not in known and not post.get_urls:
                outcomes[index] = NotFound(_nowhere(keys.get(post.object_id, ())))
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
        self, stored: StoredFlow, posts: Sequence[SegmentPost], keys: Mapping[str, Sequence[str]]
    ) -> dict[str, MediaObject]:
        """Return the objects that are not here yet and whose bytes are found."""
        ids = dict.fromkeys(post.object_id for post in posts)
        known = media_objects.load(self._gateway, ids)
        wanted = [id_ for id_ in ids if id_ not in known and keys.get(id_)]
        container = stored.flow.container
        if not wanted or not isinstance(container, str):
            return {}
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
            found = list(pool.map(lambda id_: self._find(keys[id_]), wanted))
        return {
            id_: MediaObject(
                id_,
                container,
                stored.flow.id,
                instances=(Instance(self._backend.id, place.key, place.version),),
                size=size,
            )
            for id_, one in zip(wanted, found, strict=True)
            if one is not None
            for place, size in [one]
        }

    def _find(self, keys: Sequence[str]) -> tuple[Place, int] | None:
        for key in keys:
            try:
                stat: Stat = self._backend.store.stat(Place(key))
            except MissingError:
                continue
            return Place(key, stat.version), stat.size
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
