"""What follows for others when a flow comes, changes or goes (R-SRC-01 to -11, R-COL, G-12).

Sources come with their first flow and go with their last; `collected_by` and
`source_collection` are written with their cause, so that reads stay one look-up.
"""

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.flow import Flow
from tams_gateway.domain.flow_collection import check_members, check_siblings, derive_collection
from tams_gateway.domain.source import Source
from tams_gateway.operations.edit import Edit
from tams_gateway.operations.flow_records import StoredFlow, read_flow
from tams_gateway.operations.kinds import FLOW
from tams_gateway.operations.visibility import among, with_hidden
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.query import After, Equal, Present, Query, Sort


def put_flow(
    edit: Edit, flow: Flow, life: int = 0, collection_at: str = "/flow_collection"
) -> None:
    """Store a flow and all that follows; raises `Invalid` where others contradict it.

    `life` is that of a new flow; `collection_at` points to the collection in the body.
    """
    stored = edit.flow(flow.id)
    before = stored.flow if stored else None
    _join_source(edit, before, flow)
    collection_changed = flow.flow_collection != (before.flow_collection if before else UNSET)
    if collection_changed:
        _check_collection(edit, flow, collection_at)
    edit.put_flow(flow, life)
    if collection_changed:
        members_before = before.members if before else ()
        _move_members(edit, flow.id, members_before, flow.members)
        _derive_source(edit, flow.source_id)


def as_seen(edit: Edit, before: Flow | None, flow: Flow, at: str) -> Flow:
    """Return a flow with the collection that its sender means, who may not see all members.

    Members that it may not read are as flows that are not here, and those that the flow had stay:
    nobody drops what it cannot see. `at` points to the collection in the body. Raises `Invalid`.
    """
    if edit.access.everything:
        return flow
    sent = flow.flow_collection or ()
    check_members(flow.id, sent, at)
    stored = () if before is None or before.flow_collection is UNSET else before.flow_collection
    ids = [item.id for item in (*sent, *stored)]
    readable = among(edit.gateway, edit.access, FLOW, ids)
    for index, item in enumerate(sent):
        if item.id not in readable:
            raise _unregistered(at, index, item.id)
    hidden = {item.id for item in stored} - readable
    if not hidden:
        return flow
    return replace(flow, flow_collection=with_hidden(sent, stored, hidden))


def _unregistered(at: str, index: int, flow_id: str) -> Invalid:
    return Invalid.at(f"{at}/{index}/id", f"flow {flow_id} is not registered here")


def delete_flow(edit: Edit, flow: Flow) -> None:
    """Delete a flow's record and all that follows, but not its segments."""
    edit.delete_flow(flow.id)
    _leave_source(edit, flow)
    _move_members(edit, flow.id, flow.members, ())
    edit.load_flows(flow.collectors)
    sources = {flow.source_id} if flow.members else set()
    for collector_id in flow.collectors:
        collector = edit.flow(collector_id)
        if collector is None:
            continue
        left = tuple(item for item in collector.flow.flow_collection or () if item.id != flow.id)
        edit.put_flow(replace(collector.flow, flow_collection=left or UNSET))
        sources.add(collector.flow.source_id)
    for source_id in sources:
        _derive_source(edit, source_id)


def _join_source(edit: Edit, before: Flow | None, flow: Flow) -> None:
    if before is not None and before.source_id != flow.source_id:
        if before.members or before.collectors:
            raise Invalid.at(
                "/source_id", "cannot change while the flow collects others or is collected"
            )
        _leave_source(edit, before)
    source = edit.source(flow.source_id)
    if source is not None and source.source.format != flow.format:
        raise Invalid.at(
            "/format", f"is {flow.format}, but source {flow.source_id} is {source.source.format}"
        )
    if before is not None and before.source_id == flow.source_id:
        return
    if source is None:
        # The source begins as its first flow describes it, and goes its own way from then on
        # (R-SRC-03).
        made = Source(
            id=flow.source_id,
            format=flow.format,
            label=flow.label,
            description=flow.description,
            tags=flow.tags,
        )
        edit.put_source(made, 1)
    else:
        edit.put_source(source.source, source.flows + 1)


def _leave_source(edit: Edit, flow: Flow) -> None:
    source = edit.source(flow.source_id)
    if source is None:
        return
    if source.flows > 1:
        edit.put_source(source.source, source.flows - 1)
    else:
        edit.delete_source(flow.source_id)
        _move_collected(edit, flow.source_id, source.source.members, ())


def _check_collection(edit: Edit, flow: Flow, at: str) -> None:
    items = flow.flow_collection or ()
    check_members(flow.id, items, at)
    edit.load_flows(flow.members)
    for index, item in enumerate(items):
        if edit.flow(item.id) is None:
            raise _unregistered(at, index, item.id)
    _refuse_cycle(edit, flow, at)
    siblings = [one.flow for one in _collecting_flows(edit, flow.source_id)]
    others = [sibling for sibling in siblings if sibling.id != flow.id]
    try:
        check_siblings(flow, others, _sources_of(edit, [flow, *others]), at)
    except Invalid:
        if edit.access.everything:
            raise
        # It names a sibling and its members, which may be hidden.
        raise Invalid.at(at, "contradicts another flow of the same source") from None


def _refuse_cycle(edit: Edit, flow: Flow, at: str) -> None:
    """Walk down from the members; what the walk relies on is held until the commit."""
    level, seen = set(flow.members), set(flow.members)
    while level:
        edit.load_flows(level)
        below: set[str] = set()
        for member_id in level:
            edit.hold(member_id)
            member = edit.flow(member_id)
            if member is not None:
                below.update(member.flow.members)
        if flow.id in below:
            raise Invalid.at(at, "a member collects this flow, also indirectly")
        level = below - seen
        seen |= below


def _move_members(
    edit: Edit, flow_id: str, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    edit.load_flows([*before, *after])
    for member_id in dict.fromkeys([*before, *after]):
        member = edit.flow(member_id)
        if member is not None:
            collectors = _moved(member.flow.collectors, flow_id, member_id in after)
            edit.put_flow(replace(member.flow, collected_by=collectors or UNSET))


def _derive_source(edit: Edit, source_id: str) -> None:
    """Write the collection of a source anew from its flows, and its members' `collected_by`.

    The source's record gets a new version even if nothing changes, so that two flows of one
    source that change at once conflict. A source is no member of itself.
    """
    stored = edit.source(source_id)
    if stored is None:
        return
    flows = [one.flow for one in _collecting_flows(edit, source_id)]
    items = derive_collection(flows, _sources_of(edit, flows))
    items = tuple(item for item in items if item.id != source_id)
    before = stored.source.members
    edit.put_source(replace(stored.source, source_collection=items or UNSET))
    _move_collected(edit, source_id, before, tuple(item.id for item in items))


def _move_collected(
    edit: Edit, source_id: str, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    for member_id in set(before) ^ set(after):
        member = edit.source(member_id)
        if member is not None:
            collectors = _moved(member.source.collectors, source_id, member_id in after)
            edit.put_source(replace(member.source, collected_by=collectors or UNSET))


def _moved(collectors: tuple[str, ...], one: str, there: bool) -> tuple[str, ...]:
    others = tuple(id_ for id_ in collectors if id_ != one)
    if not there:
        return others
    return collectors if one in collectors else (*others, one)


def _collecting_flows(edit: Edit, source_id: str) -> list[StoredFlow]:
    """Return the flows of a source that collect others, oldest first, as this edit leaves them."""
    query = Query(
        FLOW, (Equal("source_id", source_id), Present("collects")), Sort("created"), limit=1000
    )
    found: dict[str, StoredFlow] = {}
    while True:
        page = edit.gateway.metadata.find(query)
        for record in page.items:
            found[record.id] = read_flow(record)
        if not page.more:
            break
        last = page.items[-1]
        created = last.fields["created"]
        assert isinstance(created, int)
        query = replace(query, after=After(created, last.id))
    changed = {one.flow.id: one for one in edit.changed_flows()}
    current = [changed.get(id_, one) for id_, one in found.items() if edit.flow(id_) is not None]
    current += [one for id_, one in changed.items() if id_ not in found]
    return [one for one in current if one.flow.source_id == source_id and one.flow.flow_collection]


def _sources_of(edit: Edit, flows: Iterable[Flow]) -> dict[str, str]:
    """Return the source of each member; one that is gone was read too late: read again."""
    members = [member for flow in flows for member in flow.members]
    edit.load_flows(members)
    sources = {}
    for member_id in members:
        member = edit.flow(member_id)
        if member is None:
            raise ConflictError(f"flow {member_id} was deleted meanwhile")
        sources[member_id] = member.flow.source_id
    return sources
