"""The audit trail: who wrote what, in which request, and with which result.

An entry goes into the same `apply` as its write, so there is no write without one. Refused writes
have entries of their own.
"""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar

import msgspec
import structlog

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.errors import Refusal
from tams_gateway.domain.identifiers import new_uuid
from tams_gateway.operations.kinds import AUDIT
from tams_gateway.operations.messages import Request, Response
from tams_gateway.storage.capabilities import SupportsJoin, SupportsWatch
from tams_gateway.storage.changes import ABSENT, AddSegments, Change, Delete, DropSegments, Put
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.records import Kind, Record, Value

_log = structlog.get_logger("tams_gateway.audit")

_MOVING = ("metadata_updated", "metadata_version", "updated", "updated_by")
"""Members that follow from the change of others."""

_SHOWN = ("source", "flow", "profile", "service", "webhook")
"""The kinds whose records are what clients see, member by member."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Entry(msgspec.Struct, frozen=True):
    """One entry. `changed` are members of the resource; `result` is `done` or the word of an error.

    `resource` is the path as the client sent it.
    """

    id: str
    at: str
    who: str
    operation: str
    resource: str
    changed: Sequence[str]
    request_id: str
    result: str


class _Write:
    """A request that may write, with the records that it has read."""

    def __init__(self, template: str, request: Request) -> None:
        self.template = template
        self.request = request
        self.read: dict[tuple[str, str], bytes] = {}
        self.noted = False

    def put(self, now_ns: int, result: str, changed: Sequence[str] = ()) -> Put:
        request = self.request
        entry = Entry(
            new_uuid(),
            date_time(now_ns),
            request.principal.name,
            f"{request.method} {self.template}",
            request.url_path,
            changed,
            request.id,
            result,
        )
        fields: dict[str, Value] = {
            "at": now_ns,
            "who": entry.who,
            "resource": entry.resource,
            "request_id": entry.request_id,
        }
        return Put(AUDIT, entry.id, msgspec.json.encode(entry), fields, ABSENT)


_current: ContextVar[_Write | None] = ContextVar("audited write", default=None)


class Audit:
    """Notes the writes of requests. `store` is to be what their operations work on."""

    def __init__(self, metadata: MetadataStore, now_ns: Callable[[], int]) -> None:
        self.store = AuditedStore(metadata, now_ns)
        self._metadata = metadata
        self._now_ns = now_ns

    def around(self, template: str, request: Request, operate: Callable[[], Response]) -> Response:
        """Run the operation of a request that may write; what is refused is noted, too."""
        write = _Write(template, request)
        token = _current.set(write)
        try:
            return operate()
        except Refusal as refused:
            if not write.noted:
                self._note(write.put(self._now_ns(), refused.type))
            raise
        finally:
            _current.reset(token)

    def _note(self, put: Put) -> None:
        try:
            self._metadata.apply([put])
        except StoreError as error:
            # Nothing was written, and the client is to learn why.
            _log.error("audit_not_written", error=str(error))


class AuditedStore:
    """A metadata store that adds the entry of the request at work to what it writes first.

    It can do what requests ask of the store beyond its contract.
    """

    def __init__(self, metadata: MetadataStore, now_ns: Callable[[], int]) -> None:
        self._metadata = metadata
        self._now_ns = now_ns
        self.find = metadata.find
        self.segments = metadata.segments
        self.extent = metadata.extent
        self.uses = metadata.uses
        self.events = metadata.events
        self.tip = metadata.tip
        self.check = metadata.check
        self.close = metadata.close
        if isinstance(metadata, SupportsJoin):
            self.joined = metadata.joined
        if isinstance(metadata, SupportsWatch):
            self.watch = metadata.watch

    def get(self, kind: Kind, ids: Sequence[str]) -> Mapping[str, Record]:
        """Return the records, and remember what they were before the request changes them."""
        found = self._metadata.get(kind, ids)
        write = _current.get()
        if write is not None:
            write.read.update({(kind.name, id_): record.body for id_, record in found.items()})
        return found

    def apply(self, changes: Sequence[Change]) -> None:
        """Make the changes; the first ones of a request come with its entry."""
        write = _current.get()
        if write is None or write.noted or not changes:
            self._metadata.apply(changes)
            return
        put = write.put(self._now_ns(), "done", sorted(_changed(changes, write.read)))
        self._metadata.apply([*changes, put])
        write.noted = True


def _changed(changes: Sequence[Change], before: Mapping[tuple[str, str], bytes]) -> set[str]:
    """Return the names of the members that the changes set, change or remove."""
    found: set[str] = set()
    for change in changes:
        match change:
            case Put(kind=kind, id=id_, body=body) if kind.name in _SHOWN:
                found |= _differing(before.get((kind.name, id_), b"{}"), body)
            case AddSegments() | DropSegments():
                found.add("segments")
            case Delete(kind=kind) if kind.name in _SHOWN:
                found.add(kind.name)
    return found


def _differing(before: bytes, after: bytes) -> set[str]:
    old, new = _members.decode(before), _members.decode(after)
    names = old.keys() | new.keys()
    return {name for name in names if old.get(name) != new.get(name)}.difference(_MOVING)
