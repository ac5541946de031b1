"""Reads and writes segments.

Every query by time is bounded from both sides. Segments of one life do not overlap, so those
that overlap `[from, to)` are those with `end_ns > from` up to the first with `end_ns >= to`, and
of these the last one only if it begins before `to`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from tams_gateway.domain.timerange import ETERNITY, MAX_NS, MIN_NS, Span
from tams_gateway.storage.capabilities import Joined
from tams_gateway.storage.changes import AddSegments, DropSegments
from tams_gateway.storage.errors import ConflictError, OverlapError
from tams_gateway.storage.query import Page, SegmentQuery, UseQuery
from tams_gateway.storage.records import Segment, Use
from tams_gateway_sqlite import packed
from tams_gateway_sqlite.schema import Table, decode, encode

_IN_LIFE: Final = "flow_id = ? AND life = ?"
_UP_TO: Final = (
    "start_ns < ? AND end_ns <= min(?, coalesce((SELECT end_ns FROM segments"
    f" WHERE {_IN_LIFE} AND end_ns >= ? ORDER BY end_ns LIMIT 1), ?))"
)


def page(connection: sqlite3.Connection, query: SegmentQuery) -> Page[Segment]:
    """Return a page of the segments of a life."""
    source, bound = _source(query)
    row = connection.execute(
        f"SELECT {packed.SEGMENTS} FROM (SELECT head, body {source})", (*bound, query.limit + 1)
    ).fetchone()
    found = packed.segments(*row)
    return Page(found[: query.limit], len(found) > query.limit)


def joined(connection: sqlite3.Connection, query: SegmentQuery) -> Joined | None:
    """Return a page of the segments of a life, joined; None if empty or with init objects."""
    source, bound = _source(query)
    connection.execute("BEGIN")
    count, inits, end, bodies = connection.execute(
        f"SELECT count(*), count(init_object_id), {'min' if query.reverse else 'max'}(end_ns),"
        " CAST(group_concat(body, ',') AS BLOB)"
        f" FROM (SELECT body, end_ns, init_object_id {source})",
        (*bound, query.limit),
    ).fetchone()
    if not count or inits:
        return None
    row = connection.execute(
        f"SELECT {packed.SEGMENT} FROM segments WHERE {_IN_LIFE} AND end_ns = ?",
        (*bound[:2], end),
    ).fetchone()
    (last,) = packed.segments(1, *row)
    (first,) = page(connection, replace(query, limit=1)).items
    more = False
    if count == query.limit:
        more = bool(page(connection, replace(query, after=end, limit=1)).items)
    return Joined(b"[%b]" % bodies, count, first, last, more)


def _source(query: SegmentQuery) -> tuple[str, list[object]]:
    """Return what to select from, in order, and what is bound there but for the limit."""
    span, last = query.span or ETERNITY, MAX_NS
    # SQLite takes one bound of a side to seek by, so there is never a second.
    first = span.start
    if query.after is not None and query.reverse:
        last = query.after - 1
    elif query.after is not None:
        first = max(first, query.after)
    life = (encode(query.flow_id), query.life)
    conditions: list[str] = [_IN_LIFE, "end_ns > ?"]
    bound: list[object] = [*life, first]
    if span.end <= span.start:
        conditions.append("FALSE")
    if query.span is not None:
        conditions.append(_UP_TO)
        bound += [span.end, last, *life, span.end, span.end]
    else:
        conditions.append("end_ns <= ?")
        bound.append(last)
    if query.object_id is not None:
        conditions.append("object_id = ?")
        bound.append(encode(query.object_id))
    index = "" if query.object_id is None else " INDEXED BY segments_by_object"
    order = "DESC" if query.reverse else "ASC"
    text = f"FROM segments{index} WHERE {' AND '.join(conditions)} ORDER BY end_ns {order} LIMIT ?"
    return text, bound


def extent(
    connection: sqlite3.Connection, flow_id: str, life: int, within: Span | None
) -> tuple[Segment, Segment] | None:
    """Return the first and the last segment that overlap a span; both of one moment."""
    ends = []
    connection.execute("BEGIN")
    for reverse in (False, True):
        query = SegmentQuery(flow_id, life, within, reverse=reverse, limit=1)
        ends += page(connection, query).items
    connection.execute("COMMIT")
    return (ends[0], ends[1]) if ends else None


def uses(connection: sqlite3.Connection, query: UseQuery) -> Page[Use]:
    """Return a page of the lives that use an object: one seek for each."""
    connection.execute("BEGIN")
    found: list[Use] = []
    walk = _uses(connection, query)
    while len(found) <= query.limit and (use := next(walk, None)) is not None:
        found.append(use)
    connection.execute("COMMIT")
    return Page(found[: query.limit], len(found) > query.limit)


def _uses(connection: sqlite3.Connection, query: UseQuery) -> Iterator[Use]:
    column = "init_object_id" if query.as_init else "object_id"
    found = (
        f"SELECT flow_id, life FROM segments INDEXED BY segments_by_{column[:-3]}"
        f" WHERE {column} = ?"
    )
    # Not `(flow_id, life) > (?, ?)`: SQLite would read all segments of that flow again.
    next_life = f"{found} AND flow_id = ? AND life > ? ORDER BY life LIMIT 1"
    next_flow = f"{found} AND flow_id > ? ORDER BY flow_id, life LIMIT 1"
    object_id, after = encode(query.object_id), query.after
    flow_id, life = (b"", MIN_NS) if after is None else (encode(after.flow_id), after.life)
    while True:
        row = connection.execute(next_life, (object_id, flow_id, life)).fetchone()
        row = row or connection.execute(next_flow, (object_id, flow_id)).fetchone()
        if row is None:
            return
        flow_id, life = row
        yield Use(decode(flow_id), life)


def add(connection: sqlite3.Connection, change: AddSegments) -> None:
    """Insert segments. Raises OverlapError."""
    if not change.segments:
        return
    flow_id = encode(change.flow_id)
    overlaps = _overlaps(connection, flow_id, change)
    if overlaps:
        raise OverlapError(overlaps)
    connection.executemany(
        "INSERT INTO segments (flow_id, life, end_ns, start_ns, object_id, init_object_id, head,"
        " body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [_row(flow_id, change.life, one) for one in change.segments],
    )


def _overlaps(
    connection: sqlite3.Connection, flow_id: bytes, change: AddSegments
) -> dict[int, Segment]:
    whole = Span(
        min(one.start_ns for one in change.segments), max(one.end_ns for one in change.segments)
    )
    text = (
        f"SELECT start_ns, {packed.SEGMENT} FROM segments WHERE {_IN_LIFE} AND end_ns > ?"
        " ORDER BY end_ns LIMIT 1"
    )

    def first(span: Span) -> Segment | None:
        row = connection.execute(text, (flow_id, change.life, span.start)).fetchone()
        return None if row is None or row[0] >= span.end else packed.segments(1, row[1])[0]

    if first(whole) is None:
        return {}
    met = (first(Span(new.start_ns, new.end_ns)) for new in change.segments)
    return {index: stored for index, stored in enumerate(met) if stored is not None}


def _row(flow_id: bytes, life: int, segment: Segment) -> tuple[object, ...]:
    """Return what is bound for a segment, in the order in which both statements name it."""
    init = segment.init_object_id
    return (
        flow_id,
        life,
        segment.end_ns,
        segment.start_ns,
        encode(segment.object_id),
        None if init is None else encode(init),
        packed.pack_segment(segment),
        segment.body,
    )


def drop(connection: sqlite3.Connection, change: DropSegments) -> None:
    """Remove segments. Raises ConflictError if one is not there exactly so."""
    flow_id = encode(change.flow_id)
    removed = connection.executemany(
        "DELETE FROM segments WHERE flow_id = ? AND life = ? AND end_ns = ? AND start_ns = ?"
        " AND object_id = ? AND init_object_id IS ? AND head = ? AND body = ?",
        [_row(flow_id, change.life, one) for one in change.segments],
    ).rowcount
    if removed != len(change.segments) and change.segments:
        raise ConflictError(f"a segment of flow {change.flow_id!r} is gone")


def touch(
    connection: sqlite3.Connection, tables: Sequence[Table], change: AddSegments | DropSegments
) -> None:
    """Set `touched` of the records that have this life."""
    for table in tables:
        connection.execute(
            f"UPDATE {table.record} SET touched = max(ifnull(touched + 1, ?), ?)"
            f" WHERE id = ? AND +{table.columns['life']} = ?",
            (change.at_ns, change.at_ns, encode(change.flow_id), change.life),
        )
