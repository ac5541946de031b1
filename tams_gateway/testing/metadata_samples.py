"""Kinds, records and segments for the clauses of the metadata contract."""

from collections.abc import Iterable, Iterator, Mapping

from tams_gateway.storage.changes import Delete, DropSegments, Put
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import Query, SegmentQuery
from tams_gateway.storage.records import FieldType, Kind, Record, Segment, Value

THING = Kind(
    "kit_thing",
    {
        "number": FieldType.INT,
        "flag": FieldType.BOOL,
        "text": FieldType.TEXT,
        "group": FieldType.SET,
    },
    tags=True,
)
"""A kind with a field of each type."""

TIMED = Kind("kit_flow", {"life": FieldType.INT, "label": FieldType.TEXT}, tags=True, segments=True)
"""A kind with segments."""


def put(record_id: str, fields: Mapping[str, Value] | None = None, kind: Kind = THING) -> Put:
    """Return a Put whatever is there; the body says the id and the fields."""
    return Put(
        kind, record_id, f"{record_id!r} {fields!r}".encode("utf-8", "replace"), fields or {}
    )


def flow(flow_id: str, life: int = 0) -> Put:
    """Return a Put of a record with segments."""
    return Put(TIMED, flow_id, b"{}", {"life": life})


def segment(start: int, end: int, object_id: str = "object", init: str | None = None) -> Segment:
    """Return a segment whose body says where it is."""
    return Segment(start, end, object_id, f"[{start}:{end})".encode(), 1, init)


def row(
    count: int, length: int = 10, prefix: str = "object", init: str | None = None
) -> list[Segment]:
    """Return segments of that length in nanoseconds, one behind the other from 0 on."""
    return [
        segment(at * length, (at + 1) * length, f"{prefix}-{at:08}", init) for at in range(count)
    ]


def record_of(store: MetadataStore, record_id: str, kind: Kind = THING) -> Record:
    """Return a record that is there."""
    return store.get(kind, [record_id])[record_id]


def ids(records: Iterable[Record]) -> list[str]:
    """Return the ids in order."""
    return [record.id for record in records]


def spans(segments: Iterable[Segment]) -> list[tuple[int, int]]:
    """Return the bounds in order."""
    return [(one.start_ns, one.end_ns) for one in segments]


def all_records(store: MetadataStore, kind: Kind) -> list[Record]:
    """Return every record of a kind."""
    return store.find(Query(kind, limit=1_000_000)).items


def all_segments(store: MetadataStore, flow_id: str, life: int = 0) -> list[Segment]:
    """Return every segment of a life."""
    return store.segments(SegmentQuery(flow_id, life, limit=10_000_000)).items


def clear(store: MetadataStore, flow_ids: Iterable[str] = (), lives: Iterable[int] = (0,)) -> None:
    """Delete the records of both kinds, and the segments of these lives."""
    records = [(kind, one.id) for kind in (THING, TIMED) for one in all_records(store, kind)]
    changes: list[Delete | DropSegments] = [Delete(kind, record_id) for kind, record_id in records]
    changes += [
        DropSegments(*life, all_segments(store, *life), 1) for life in _lives(flow_ids, lives)
    ]
    store.apply(changes)


def _lives(flow_ids: Iterable[str], lives: Iterable[int]) -> Iterator[tuple[str, int]]:
    numbers = tuple(lives)
    return ((flow_id, life) for flow_id in flow_ids for life in numbers)
