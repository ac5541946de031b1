"""Questions to a metadata store, all of them paged by key."""

from typing import Generic, TypeAlias, TypeVar

import msgspec

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.records import Kind, Use

T = TypeVar("T")


class Equal(msgspec.Struct, frozen=True):
    """The field is equal to the value or, if it is a set, holds it."""

    field: str
    value: int | bool | str


class OneOf(msgspec.Struct, frozen=True):
    """The field is equal to one of the texts or, if it is a set, holds one of them."""

    field: str
    values: tuple[str, ...]


class Present(msgspec.Struct, frozen=True):
    """The record has the field; a set counts even if it is empty."""

    field: str


class Absent(msgspec.Struct, frozen=True):
    """The record does not have the field."""

    field: str


class AtLeast(msgspec.Struct, frozen=True):
    """The INT field is present and not below the value.

    For plugins, such as one that lists what expires within a day; the core asks only `Below`.
    """

    field: str
    value: int


class Below(msgspec.Struct, frozen=True):
    """The INT field is present and below the value."""

    field: str
    value: int


class Touches(msgspec.Struct, frozen=True):
    """Of a kind with segments: a segment of the record's life overlaps the span."""

    span: Span


class Segmentless(msgspec.Struct, frozen=True):
    """Of a kind with segments: the record's life has no segment."""


Condition: TypeAlias = Equal | OneOf | Present | Absent | AtLeast | Below | Touches | Segmentless


class Sort(msgspec.Struct, frozen=True):
    """Sort by an INT or TEXT field, texts by code point; see `Query` for the whole order."""

    field: str
    descending: bool = False


class After(msgspec.Struct, frozen=True):
    """The place in a sorted listing of its last item: its sort value (None if unset) and id."""

    value: int | str | None
    id: str


class Query(msgspec.Struct, frozen=True):
    """A page of the records of a kind that meet every condition.

    The order is by the sort field, records without it last, equal ones by ascending id; without
    `sort` it is by id alone. `reverse` turns the whole order round, so that records without the
    field come first (R-PAGE-12). The page begins behind `after` in that order.
    """

    kind: Kind
    where: tuple[Condition, ...] = ()
    sort: Sort | None = None
    reverse: bool = False
    after: After | None = None
    limit: int = 100


class SegmentQuery(msgspec.Struct, frozen=True):
    """A page of the segments of one life of a flow, in time order.

    `span` keeps those that overlap it, `object_id` those of one object. `reverse` is from the
    end. `after` is the `end_ns` of the last segment of the page before.
    """

    flow_id: str
    life: int
    span: Span | None = None
    object_id: str | None = None
    reverse: bool = False
    after: int | None = None
    limit: int = 100


class UseQuery(msgspec.Struct, frozen=True):
    """A page of the lives of flows that use an object, each once, in their order.

    With `as_init`, those of segments whose `init_object_id` it is.
    """

    object_id: str
    as_init: bool = False
    after: Use | None = None
    limit: int = 100


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Items in order, and whether there are more behind the last."""

    items: list[T]
    more: bool
