"""What is to be written, so that the tables hold what a `State` has become."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from tams_gateway.storage.packing import pack_fields
from tams_gateway.storage.records import Record, Segment, Use, Value
from tams_gateway_vast.reading.records import EMPTY, Bounds, Stored, batches
from tams_gateway_vast.tables import rows
from tams_gateway_vast.tables.columns import Scalar
from tams_gateway_vast.tables.layout import (
    FLOW_OBJECT_REFERENCES,
    LIVES,
    SEGMENTS,
    Layout,
    Layouts,
    SetTable,
    filled,
)
from tams_gateway_vast.tables.rows import Row, typed
from tams_gateway_vast.tables.texts import cut, stored
from tams_gateway_vast.transport.predicates import From, In, Is, Term, UpTo
from tams_gateway_vast.writing.plan import Plan
from tams_gateway_vast.writing.state import Key, State, in_lives

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction

MEDIA: Final = "media"
INIT: Final = "init"
"""The roles of an object in a life: that of its segments, or `init_object_id` of some."""


def differences(transaction: "Transaction", layouts: Layouts, state: State) -> Plan:
    """Return what is to be written; looks up rows that go and are known by their values only."""
    plan = Plan()
    gone_sets: dict[SetTable, set[_SetRow]] = {}
    for key, new in state.records.items():
        layout = layouts.layout_of(state.kinds[key.kind])
        old = state.stored.get(key)
        _record(plan, layout, old, new, _bounds(state, new))
        if old is None or new is None or new.version != old.record.version:
            _sets(plan, layout, key, old, new, gone_sets)
    for table, wanted in gone_sets.items():
        plan.delete(table.table, _find_sets(transaction, table, wanted))
    _lives(plan, state)
    for life, timeline in state.timelines.items():
        removed = timeline.removed()
        plan.delete(SEGMENTS, [one.row_id for one in removed], [one.parts for one in removed])
        _segments(plan, transaction, life, timeline.added(), [one.segment for one in removed])
    return plan


def _bounds(state: State, record: Record | None) -> Bounds:
    life = None if record is None else record.fields.get("life")
    if record is None or not isinstance(life, int):
        return EMPTY
    return state.lives.get(Use(record.id, life), EMPTY)


def _record(
    plan: Plan, layout: Layout, old: Stored | None, new: Record | None, bounds: Bounds
) -> None:
    if old is None:
        if new is not None:
            plan.insert(layout.table, _record_row(plan, layout, new, bounds))
    elif new is None:
        plan.delete(layout.table, [old.row_id], [old.parts])
    elif new.version != old.record.version:
        plan.update(layout.table, old.row_id, _record_row(plan, layout, new, bounds))
        plan.delete(layout.table, (), [old.parts])
    elif new.touched != old.record.touched or (layout.timed and bounds != old.bounds):
        plan.update(layout.table, old.row_id, _moved(new, bounds))


def _record_row(plan: Plan, layout: Layout, new: Record, bounds: Bounds) -> Row:
    body, fields, number = plan.parts.fit(new.body, pack_fields(new.fields))
    row: dict[str, Scalar] = {
        **typed(filled(layout, new.body, new.fields)),
        "id": stored(new.id),
        "version": new.version,
        "body": body,
        "fields": fields,
        "parts": number,
    }
    if layout.kind_name is not None:
        row["kind"] = stored(layout.kind_name)
    return {**row, **_moved(new, bounds)} if layout.timed else row


def _moved(record: Record, bounds: Bounds) -> Row:
    """Return the columns that segments change."""
    return {"touched_ns": record.touched, **_bounds_row(bounds)}


def _bounds_row(bounds: Bounds) -> Row:
    first, last = (bounds.first_ns, bounds.last_ns) if bounds.count else (None, None)
    return {"first_ns": first, "last_ns": last, "segment_count": bounds.count}


def _lives(plan: Plan, state: State) -> None:
    wanted = in_lives(state)
    for life, row_id in state.stored_lives.items():
        if life not in wanted:
            plan.delete(LIVES, [row_id])
    for life, bounds in wanted.items():
        if life not in state.stored_lives:
            names: Row = {"flow_id": stored(life.flow_id), "life": life.life}
            plan.insert(LIVES, {**names, **_bounds_row(bounds)})
        elif bounds != state.stored_bounds[life]:
            plan.update(LIVES, state.stored_lives[life], _bounds_row(bounds))


class _SetRow(NamedTuple):
    """A row of a table of sets, as it stands there."""

    kind: str
    id: str
    field: str
    value: str | None


def _sets(
    plan: Plan,
    layout: Layout,
    key: Key,
    old: Stored | None,
    new: Record | None,
    gone: dict[SetTable, set[_SetRow]],
) -> None:
    """Add the rows of sets that are new, and collect those that go."""
    before: Mapping[str, Value] = {} if old is None else old.record.fields
    after: Mapping[str, Value] = {} if new is None else new.fields
    for field in before.keys() | after.keys():
        table = layout.set_table(field)
        if table is None or before.get(field) == after.get(field):
            continue
        was = _set_rows(table, key, field, before.get(field))
        now = _set_rows(table, key, field, after.get(field))
        for row in sorted(now - was, key=lambda row: row.value or ""):
            plan.insert(table.table, _named(table, row))
        if was - now:
            gone.setdefault(table, set()).update(was - now)


def _set_rows(table: SetTable, key: Key, field: str, value: Value | None) -> set[_SetRow]:
    if not isinstance(value, frozenset):
        return set()
    kind = "" if table.kind_column is None else stored(key.kind)
    name = "" if table.field_column is None else cut(table.name(field))
    record_id = stored(key.id)
    if not value:
        return {_SetRow(kind, record_id, name, None)}
    return {_SetRow(kind, record_id, name, cut(one)) for one in value}


def _columns(table: SetTable) -> dict[str, str | None]:
    """Return the column for each part of a `_SetRow`."""
    return {
        "kind": table.kind_column,
        "id": table.id_column,
        "field": table.field_column,
        "value": table.value_column,
    }


def _named(table: SetTable, row: _SetRow) -> Row:
    return {
        column: getattr(row, part) for part, column in _columns(table).items() if column is not None
    }


def _find_sets(transaction: "Transaction", table: SetTable, wanted: set[_SetRow]) -> Iterable[int]:
    """Yield the row ids of rows of sets."""
    columns = [column for column in _columns(table).values() if column is not None]
    for ids in batches(sorted({row.id for row in wanted})):
        where: list[Term] = [In(table.id_column, ids)]
        found = transaction.select(table.table, ["$row_id", *columns], where)
        values = {name: found.column(name).to_pylist() for name in ("$row_id", *columns)}
        for at, row_id in enumerate(values["$row_id"]):
            parts = {
                part: "" if column is None else values[column][at]
                for part, column in _columns(table).items()
            }
            if _SetRow(**parts) in wanted:
                yield int(row_id)


def _segments(
    plan: Plan,
    transaction: "Transaction",
    life: Use,
    added: Sequence[Segment],
    removed: Sequence[Segment],
) -> None:
    """Add segments, and change the references to objects by those that come and go."""
    for one in added:
        plan.insert(SEGMENTS, rows.segment_row(life, one, plan.parts))
        reference = {**_reference(life, one.object_id, MEDIA), "end_ns": one.end_ns}
        plan.insert(FLOW_OBJECT_REFERENCES, reference)
    plan.delete(FLOW_OBJECT_REFERENCES, _find_media(transaction, life, removed))
    inits = Counter(one.init_object_id for one in added if one.init_object_id is not None)
    inits.subtract(one.init_object_id for one in removed if one.init_object_id is not None)
    changed = [object_id for object_id, count in inits.items() if count]
    there = _find_inits(transaction, life, changed)
    for object_id in changed:
        row_id, count = there.get(stored(object_id), (None, 0))
        count += inits[object_id]
        if row_id is None:
            reference = {**_reference(life, object_id, INIT), "segments": count}
            plan.insert(FLOW_OBJECT_REFERENCES, reference)
        elif count > 0:
            plan.update(FLOW_OBJECT_REFERENCES, row_id, {"segments": count})
        else:
            plan.delete(FLOW_OBJECT_REFERENCES, [row_id])


def _reference(life: Use, object_id: str, role: str) -> Row:
    return {
        "object_id": stored(object_id),
        "flow_id": stored(life.flow_id),
        "life": life.life,
        "role": role,
    }


def _of_life(life: Use, role: str) -> list[Term]:
    return [Is("flow_id", stored(life.flow_id)), Is("life", life.life), Is("role", role)]


def _find_media(transaction: "Transaction", life: Use, removed: Sequence[Segment]) -> Iterable[int]:
    """Yield the row ids of the references of segments."""
    columns = ("$row_id", "object_id", "end_ns")
    for some in batches(removed):
        wanted = {(stored(one.object_id), one.end_ns) for one in some}
        ends = [one.end_ns for one in some]
        where = [
            In("object_id", sorted({object_id for object_id, _ in wanted})),
            *_of_life(life, MEDIA),
            From("end_ns", min(ends)),
            UpTo("end_ns", max(ends)),
        ]
        found = transaction.select(FLOW_OBJECT_REFERENCES, columns, where)
        values = [found.column(name).to_pylist() for name in columns]
        for row_id, object_id, end in zip(*values, strict=True):
            if (object_id, end) in wanted:
                yield int(row_id)


def _find_inits(
    transaction: "Transaction", life: Use, object_ids: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Return row id and count of segments by the stored id of init objects."""
    columns = ("$row_id", "object_id", "segments")
    there = {}
    for some in batches([stored(one) for one in object_ids]):
        where = [In("object_id", some), *_of_life(life, INIT)]
        found = transaction.select(FLOW_OBJECT_REFERENCES, columns, where)
        values = [found.column(name).to_pylist() for name in columns]
        for row_id, object_id, count in zip(*values, strict=True):
            there[object_id] = (int(row_id), count)
    return there
