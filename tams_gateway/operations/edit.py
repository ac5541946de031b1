"""Flows and sources under change: loaded once, changed as values, committed together.

Versions, bumped times, `metadata_version` and events follow from comparing what was loaded with
what is to be stored, so that no operation can forget one of them.
"""

from collections.abc import Iterable, Sequence

from msgspec import UNSET, Raw, json
from msgspec.structs import replace

from tams_gateway.auth.access import EVERYTHING, Permission
from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.flow import Flow
from tams_gateway.domain.identifiers import new_uuid
from tams_gateway.domain.source import Source
from tams_gateway.domain.tags import auth_classes
from tams_gateway.events.event import Event, EventType
from tams_gateway.operations.announcements import flow_event, source_event
from tams_gateway.operations.documents import flow_document
from tams_gateway.operations.flow_records import (
    Births,
    Origin,
    StoredFlow,
    StoredSource,
    read_flow,
    read_source,
)
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW, SOURCE
from tams_gateway.operations.messages import Request
from tams_gateway.operations.visibility import permitted
from tams_gateway.storage.changes import ABSENT, Change, Delete, Emit, Expect


class Edit:
    """The flows and sources that one request reads and changes, and what else it commits.

    With `births`, it brings what is older than the edit: what it makes has these origins, and what
    follows for other sources does not count as a change of them.
    """

    def __init__(
        self, gateway: Gateway, request: Request | None = None, births: Births | None = None
    ) -> None:
        self.gateway = gateway
        self.now_ns = gateway.now_ns()
        self.by = request.principal.author if request else None
        self.access = request.access if request else EVERYTHING
        self._imports = births is not None
        born_now = Origin(self.now_ns, self.now_ns, self.by, self.by)
        self._births = births or Births(born_now, born_now)
        self._before: dict[str, StoredFlow | None] = {}
        self._after: dict[str, StoredFlow | None] = {}
        self._sources_before: dict[str, StoredSource | None] = {}
        self._sources_after: dict[str, StoredSource | None] = {}
        self._held: set[str] = set()
        self.made: dict[str, bytes] = {}
        """The documents of the flows that this edit made, once it is committed."""
        self._changes: list[Change] = []
        self._events: list[Event] = []

    def load_flows(self, ids: Iterable[str]) -> None:
        """Read those of the flows that were not read yet, all at once."""
        missing = [id_ for id_ in dict.fromkeys(ids) if id_ not in self._before]
        if missing:
            found = self.gateway.metadata.get(FLOW, missing)
            for id_ in missing:
                self._before[id_] = read_flow(found[id_]) if id_ in found else None

    def stored(self, flow_id: str) -> StoredFlow | None:
        """Return the flow as it was read."""
        self.load_flows([flow_id])
        return self._before[flow_id]

    def existing(self, flow_id: str, permission: Permission) -> StoredFlow:
        """Read the flow that the path names; raises `NotFound`, `Forbidden` as `permitted`."""
        record = self.gateway.metadata.get(FLOW, [flow_id]).get(flow_id)
        stored = read_flow(permitted(self.access, permission, record, f"flow {flow_id}"))
        self._before[flow_id] = stored
        return stored

    def existing_source(self, source_id: str, permission: Permission) -> StoredSource:
        """Read the source that the path names; raises `NotFound`, `Forbidden` as `permitted`."""
        record = self.gateway.metadata.get(SOURCE, [source_id]).get(source_id)
        stored = read_source(permitted(self.access, permission, record, f"source {source_id}"))
        self._sources_before[source_id] = stored
        return stored

    def flow(self, flow_id: str) -> StoredFlow | None:
        """Return the flow as this edit leaves it."""
        return self._after[flow_id] if flow_id in self._after else self.stored(flow_id)

    def changed_flows(self) -> list[StoredFlow]:
        """Return the flows that this edit makes or changes, as it leaves them."""
        return [flow for flow in self._after.values() if flow is not None]

    def source(self, source_id: str) -> StoredSource | None:
        """Return the source as this edit leaves it."""
        if source_id in self._sources_after:
            return self._sources_after[source_id]
        return self._stored_source(source_id)

    def _stored_source(self, source_id: str) -> StoredSource | None:
        if source_id not in self._sources_before:
            record = self.gateway.metadata.get(SOURCE, [source_id]).get(source_id)
            self._sources_before[source_id] = None if record is None else read_source(record)
        return self._sources_before[source_id]

    def put_flow(self, flow: Flow, life: int = 0) -> None:
        """Store the flow; `life` is that of a new one."""
        known = self.flow(flow.id)
        if known is None:
            born = self._births.flow
            self._after[flow.id] = StoredFlow(flow, born.created_ns, born.updated_ns, life)
        else:
            self._after[flow.id] = replace(known, flow=flow)

    def delete_flow(self, flow_id: str) -> None:
        """Delete the flow's record; its relations and its segments are the caller's matter."""
        self.load_flows([flow_id])
        self._after[flow_id] = None

    def put_source(self, source: Source, flows: int | None = None) -> None:
        """Store the source; even an equal one gets a new version, so that other writers notice.

        `flows` is its new count of flows.
        """
        born = self._births.source
        made = StoredSource(source, born.created_ns, born.updated_ns)
        known = self.source(source.id) or made
        count = known.flows if flows is None else flows
        self._sources_after[source.id] = replace(known, source=source, flows=count)

    def delete_source(self, source_id: str) -> None:
        """Delete the source."""
        self._stored_source(source_id)
        self._sources_after[source_id] = None

    def hold(self, flow_id: str) -> None:
        """Let the commit fail if another writer changes this flow meanwhile."""
        self.load_flows([flow_id])
        self._held.add(flow_id)

    def expect_flow(self, stored: StoredFlow) -> None:
        """Hold a flow that was read before, as it was read then."""
        self._before[stored.flow.id] = stored
        self._held.add(stored.flow.id)

    def add(self, *changes: Change) -> None:
        """Commit other changes together with these."""
        self._changes.extend(changes)

    def tell(self, type_: EventType, body: object, flow: Flow) -> None:
        """Emit an event about the segments of a flow."""
        if self.gateway.listening:
            self._events.append(self._flow_event(type_, body, flow))

    def commit(self) -> None:
        """Apply everything at once.

        Raises `ConflictError` if another writer was faster, and `Forbidden` for classes that the
        principal may not give or take (R-AUTH-09).
        """
        changes = self.changes()
        if changes:
            self.gateway.metadata.apply(changes)

    def changes(self) -> Sequence[Change]:
        """Return all changes, and the events in their natural order: birth first, death last."""
        changes: list[Change] = []
        born: list[Event] = []
        gone: list[Event] = []
        # Events name a flow's relations, so they are made before times and versions move on.
        for source_id, source in self._sources_after.items():
            changes += self._source_changes(source_id, source, born, gone)
        for flow_id, flow in self._after.items():
            changes += self._flow_changes(flow_id, flow, born, gone)
        for flow_id in self._held - self._after.keys():
            stored = self._before[flow_id]
            changes.append(Expect(FLOW, flow_id, ABSENT if stored is None else stored.version))
        changes += self._changes
        events = [*born, *self._events, *reversed(gone)]
        return [*changes, Emit(events)] if events else changes

    def _flow_changes(
        self, flow_id: str, after: StoredFlow | None, born: list[Event], gone: list[Event]
    ) -> Iterable[Change]:
        before = self._before[flow_id]
        if after is not None and not self.access.everything:
            self._check_classes(None if before is None else before.flow, after.flow)
        if after is None:
            if before is not None:
                yield Delete(FLOW, flow_id, before.version)
                self._note(gone, "flows/deleted", {"flow_id": flow_id}, before.flow)
        elif before is None:
            made = replace(after, flow=self._made(after.flow))
            put = made.put()
            self.made[flow_id] = put.body
            yield put
            self._note(born, "flows/created", {"flow": _raw(made)}, made.flow)
        elif replace(after.flow, collected_by=before.flow.collected_by) != before.flow:
            changed = replace(
                after, flow=self._changed(after.flow, before.flow), updated_ns=self.now_ns
            )
            yield changed.put()
            self._note(born, "flows/updated", {"flow": _raw(changed)}, changed.flow)
        elif after.flow != before.flow:
            # To be collected is no change of one's own: no new version, no event (R-COL-06).
            yield after.put()
        elif flow_id in self._held:
            yield Expect(FLOW, flow_id, before.version)

    def _check_classes(self, before: Flow | Source | None, after: Flow | Source) -> None:
        classes = None if before is None else auth_classes(before.tags)
        self.access.check_change(classes, auth_classes(after.tags))

    def _made(self, flow: Flow) -> Flow:
        born = self._births.flow
        return replace(
            flow,
            created=date_time(born.created_ns),
            metadata_updated=date_time(born.updated_ns),
            metadata_version=new_uuid()
            if flow.metadata_version is UNSET
            else flow.metadata_version,
            created_by=flow.created_by or born.created_by or UNSET,
            updated_by=flow.updated_by or born.updated_by or UNSET,
        )

    def _changed(self, flow: Flow, before: Flow) -> Flow:
        """Set what the server owns at each change of the metadata (R-FLW-05, -06)."""
        same_version = flow.metadata_version in (UNSET, before.metadata_version)
        same_author = flow.updated_by in (UNSET, before.updated_by)
        return replace(
            flow,
            metadata_updated=date_time(self.now_ns),
            metadata_version=new_uuid() if same_version else flow.metadata_version,
            updated_by=self.by if same_author and self.by else flow.updated_by,
        )

    def _source_changes(
        self, source_id: str, after: StoredSource | None, born: list[Event], gone: list[Event]
    ) -> Iterable[Change]:
        before = self._sources_before[source_id]
        if after is None:
            if before is not None:
                yield Delete(SOURCE, source_id, before.version)
                if self.gateway.listening:
                    body = {"source_id": source_id}
                    gone.append(source_event("sources/deleted", self.now_ns, body, before.source))
            return
        source = after.source
        if not self.access.everything:
            self._check_classes(None if before is None else before.source, source)
        if before is None:
            after = replace(after, source=self._born(source))
        elif source != before.source and not self._imports:
            now, by = date_time(self.now_ns), self.by or source.updated_by
            source = replace(source, updated=now, updated_by=by)
            after = replace(after, source=source, updated_ns=self.now_ns)
        else:
            yield after.put()
            return
        source = after.source
        yield after.put()
        if self.gateway.listening:
            type_: EventType = "sources/created" if before is None else "sources/updated"
            born.append(source_event(type_, self.now_ns, {"source": source}, source))

    def _born(self, source: Source) -> Source:
        born = self._births.source
        return replace(
            source,
            created=date_time(born.created_ns),
            updated=date_time(born.updated_ns),
            created_by=born.created_by or UNSET,
            updated_by=born.updated_by or UNSET,
        )

    def _note(self, to: list[Event], type_: EventType, body: object, flow: Flow) -> None:
        if self.gateway.listening:
            to.append(self._flow_event(type_, body, flow))

    def _flow_event(self, type_: EventType, body: object, flow: Flow) -> Event:
        # The membership before a deletion is the one that counts (R-WHK-19).
        look_up = self._stored_source if type_.endswith("deleted") else self.source
        source = look_up(flow.source_id)
        collectors = source.source.collectors if source else ()
        return flow_event(type_, self.now_ns, body, flow, collectors)


def _raw(stored: StoredFlow) -> Raw:
    return Raw(flow_document(json.encode(stored.flow), stored.touched))
