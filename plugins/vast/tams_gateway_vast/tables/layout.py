"""What our tables are, and how a kind of record lies in them.

`docs/vast-tables.md` tells what each column means.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]

from tams_gateway.storage.records import FieldType, Kind, Value
from tams_gateway_vast.tables.columns import Column, Scalar, Table, binary, number, of_field, text
from tams_gateway_vast.tables.kind_tables import FLOWS, KINDS, RECORDS

LIVES: Final = Table(
    "lives",
    (
        text("flow_id"),
        number("life"),
        number("first_ns"),
        number("last_ns"),
        number("segment_count"),
    ),
    ("flow_id", "life"),
)

SEGMENTS: Final = Table(
    "segments",
    (
        text("flow_id"),
        number("life"),
        number("start_ns"),
        number("end_ns"),
        text("object_id"),
        text("init_object_id"),
        number("created_ns"),
        binary("body"),
        number("parts"),
        text("timerange", "timerange"),
        text("ts_offset", "ts_offset"),
        text("last_duration", "last_duration"),
        number("sample_offset", "sample_offset"),
        number("sample_count", "sample_count"),
        number("key_frame_count", "key_frame_count"),
    ),
    ("flow_id", "life", "end_ns"),
)

FLOW_OBJECT_REFERENCES: Final = Table(
    "flow_object_references",
    (
        text("object_id"),
        text("flow_id"),
        number("life"),
        text("role"),
        number("end_ns"),
        number("segments"),
    ),
    ("object_id",),
)

TAGS: Final = Table(
    "tags",
    (text("entity_type"), text("entity_id"), text("tag_name"), text("tag_value")),
    ("tag_name", "tag_value"),
)

FLOW_COLLECTIONS: Final = Table(
    "flow_collections", (text("flow_id"), text("collection_id")), ("collection_id",)
)

SOURCE_COLLECTIONS: Final = Table(
    "source_collections", (text("source_id"), text("collection_id")), ("source_id",)
)

FIELD_VALUES: Final = Table(
    "field_values",
    (text("kind"), text("id"), text("field"), text("value")),
    ("kind", "id"),
)

EVENTS: Final = Table(
    "events",
    (
        number("position"),
        text("type"),
        number("at_ns"),
        number("ordinal"),
        binary("body"),
        binary("fields"),
        number("parts"),
        of_field(text("flow_id"), "flow_id"),
        of_field(text("source_id"), "source_id"),
    ),
    ("position",),
)

OUTBOX: Final = Table("outbox", (text("forgotten"),))
SHARDS: Final = Table(
    "shards", (number("shard"), number("commits"), binary("history"), number("events"))
)
CLAIMS: Final = Table("claims", (number("shard"), number("txid")))
PROBES: Final = Table("probes", (number("shard"), number("commits")))
PARTS: Final = Table("parts", (number("id"), number("part"), binary("data")), ("id",))
SCHEMA_VERSIONS: Final = Table(
    "schema_versions", (number("version"), number("applied_ns"), text("gateway"))
)


class SetTable(msgspec.Struct, frozen=True):
    """A table that holds SET fields, one row a value; the value of an empty set is null.

    Its columns: the kind and the name of the field where several share the table, the record's id,
    the value. Names of fields stand there without `prefix`.
    """

    table: Table
    kind_column: str | None
    id_column: str
    field_column: str | None
    value_column: str
    prefix: str = ""

    def name(self, field: str) -> str:
        """Return what the column of fields holds of a field."""
        return field.removeprefix(self.prefix)


_TAG_SETS: Final = SetTable(TAGS, "entity_type", "entity_id", "tag_name", "tag_value", "tag.")
_OTHER_SETS: Final = SetTable(FIELD_VALUES, "kind", "id", "field", "value")
_OWN_SETS: Final[Mapping[tuple[str, str], SetTable]] = {
    ("flow", "collects"): SetTable(FLOW_COLLECTIONS, None, "collection_id", None, "flow_id"),
    ("source", "collected_by"): SetTable(
        SOURCE_COLLECTIONS, None, "source_id", None, "collection_id"
    ),
}

_TYPES: Final = {
    FieldType.INT: pa.int64(),
    FieldType.BOOL: pa.bool_(),
    FieldType.TEXT: pa.string(),
}


class Layout(msgspec.Struct, frozen=True, dict=True):
    """Where the records of a kind lie.

    `kind_name` is what the column `kind` holds, None where the table is of this kind alone.
    `columns_by_field` has the columns whose value is that of the field, null where it is unset.
    `kind` is None for what are no records.
    """

    table: Table
    kind_name: str | None = None
    columns_by_field: Mapping[str, str] = {}
    kind: Kind | None = None

    @property
    def name(self) -> str:
        """The name of the kind, of the table for what are no records."""
        return self.table.name if self.kind is None else self.kind.name

    @property
    def timed(self) -> bool:
        """Whether records stand in `flows`, beside the bounds of their lives."""
        return self.table is FLOWS

    @cached_property
    def of_fields(self) -> Sequence[tuple[str, Column]]:
        """The fields that columns of the table are for, with these columns."""
        return [(one.field, one) for one in self.table.columns if one.field is not None]

    @cached_property
    def of_body(self) -> Sequence[Column]:
        """The columns of the table that are filled from bodies."""
        return [one for one in self.table.columns if one.path]

    def set_table(self, field: str) -> SetTable | None:
        """Return the table that holds a SET field, None where only `fields` has it."""
        if self.kind is None or self.table is RECORDS:
            return None
        if self.kind.tags and field.startswith("tag."):
            return _TAG_SETS
        if self.kind.fields.get(field) is not FieldType.SET:
            return None
        return _OWN_SETS.get((self.kind.name, field), _OTHER_SETS)

    def set_tables(self) -> Iterator[SetTable]:
        """Yield every table, once each, that holds SET fields of the kind."""
        if self.kind is None or self.table is RECORDS:
            return
        if self.kind.tags:
            yield _TAG_SETS
        sets = [self.set_table(name) for name in self.kind.fields]
        yield from dict.fromkeys(one for one in sets if one is not None)


SEGMENT_LAYOUT: Final = Layout(SEGMENTS)
"""Segments, whose columns `filled` reads from their bodies."""

EVENT_LAYOUT: Final = Layout(
    EVENTS, columns_by_field={"flow_id": "flow_id", "source_id": "source_id"}
)
"""Events, whose columns `filled` copies from their fields."""


class Layouts:
    """The layouts of all kinds, known or not: a kind is found by its name.

    `more` are tables of further kinds, as tests have them.
    """

    def __init__(self, more: Mapping[str, Table] | None = None) -> None:
        self._tables = {**KINDS, **(more or {})}
        self._known: dict[object, Layout] = {}

    @property
    def tables(self) -> Sequence[Table]:
        """Every table that the store needs, each once."""
        return tuple(dict.fromkeys((*self._tables.values(), *_OTHERS)))

    def layout_of(self, kind: Kind) -> Layout:
        """Return where the records of a kind lie."""
        # Kinds of one name may declare more fields later.
        key = (kind.name, kind.tags, kind.segments, tuple(kind.fields.items()))
        layout = self._known.get(key)
        if layout is None:
            layout = self._known[key] = self._layout(kind)
        return layout

    def _layout(self, kind: Kind) -> Layout:
        table = FLOWS if kind.segments else self._tables.get(kind.name, RECORDS)
        shared = table is FLOWS or table is RECORDS
        columns = {
            column.field: column.name
            for column in table.columns
            if column.field is not None
            and column.type == _TYPES.get(kind.fields.get(column.field, FieldType.SET))
        }
        return Layout(table, kind.name if shared else None, columns, kind)


LAYOUTS: Final = Layouts()
"""The layouts without any further table."""

_OTHERS: Final = (
    RECORDS,
    LIVES,
    SEGMENTS,
    FLOW_OBJECT_REFERENCES,
    TAGS,
    FLOW_COLLECTIONS,
    SOURCE_COLLECTIONS,
    FIELD_VALUES,
    EVENTS,
    OUTBOX,
    SHARDS,
    CLAIMS,
    PROBES,
    PARTS,
    SCHEMA_VERSIONS,
)


def filled(layout: Layout, body: bytes, fields: Mapping[str, Value]) -> dict[str, Scalar]:
    """Return the values of the typed columns of a row.

    A column of a field has the field's value, any other what the JSON body has at the column's
    path; null where that is unset, of another type, or the body no JSON object. Texts are as they
    are: whoever makes Arrow rows of them escapes and cuts them. The writer's own columns are not
    among them.
    """
    values: dict[str, Scalar] = {
        column.name: column.accept(fields.get(field)) if field in layout.columns_by_field else None
        for field, column in layout.of_fields
    }
    if layout.of_body:
        document = _document(body)
        for column in layout.of_body:
            values[column.name] = None if document is None else column.read(document)
    return values


def _document(body: bytes) -> dict[str, object] | None:
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # A body may be any bytes; what is no JSON has no members.
        return None
    return document if isinstance(document, dict) else None
