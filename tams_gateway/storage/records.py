"""What a metadata store keeps: records of open kinds, and segments."""

import enum
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

Value: TypeAlias = int | bool | str | frozenset[str]
"""The value of a field. An int is signed 64 bits; texts hold any Unicode, NUL too."""


class FieldType(enum.Enum):
    """The type of a field, by which a store lays out its column or index."""

    INT = "int"
    BOOL = "bool"
    TEXT = "text"
    SET = "set"
    """A set of texts; an empty one is present."""


class Kind(msgspec.Struct, frozen=True):
    """A kind of record: its name and the fields by which it is found and sorted.

    Stores take kinds that they have never heard of. With `tags`, records have a SET field
    `tag.NAME` for each of their tags, with any text as NAME. With `segments`, a record's id is
    the `flow_id` of segments and its INT field `life` says which life of them is its own.
    """

    name: str
    fields: Mapping[str, FieldType]
    tags: bool = False
    segments: bool = False

    def type_of(self, field: str) -> FieldType:
        """Return the type of a declared field or of a tag's. Raises KeyError for another."""
        if self.tags and field.startswith("tag."):
            return FieldType.SET
        return self.fields[field]


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as stored.

    `body` is the resource's JSON, ready for a response. `fields` holds what is set, and nothing
    for what is not. `version` is positive, and no earlier state of this id ever had it, also not
    before a deletion. `touched` is, for a kind with segments, when an `AddSegments` or
    `DropSegments` of its life last came, in nanoseconds since 1970, None before the first: its
    `at_ns` or, should that not be later than `touched`, one nanosecond more than that. So it moves
    with each of them.
    """

    id: str
    version: int
    body: bytes
    fields: Mapping[str, Value] = {}
    touched: int | None = None


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A segment of one life of a flow.

    `start_ns` and `end_ns` are half-open on the flow's timeline. `body` is the segment's JSON
    object without its URLs, without `init_object` and without `object_timerange`; listings
    splice those in before the closing brace. `at_ns` is when it was added, in nanoseconds since
    1970: a deletion in the background takes only what was there when it was accepted.
    """

    start_ns: int
    end_ns: int
    object_id: str
    body: bytes
    at_ns: int
    init_object_id: str | None = None


class Use(msgspec.Struct, frozen=True, order=True):
    """That a life of a flow has at least one segment of an object."""

    flow_id: str
    life: int
