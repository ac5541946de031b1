"""Deletion requests: records of deletions that go on in the background (R-DEL)."""

from typing import Literal

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """What went wrong, in the shape of the spec's error."""

    type: str
    summary: str
    time: str


class DeletionRequest(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A deletion request: the document of GET."""

    id: str
    flow_id: str
    timerange_to_delete: str
    timerange_remaining: str | None = None
    delete_flow: bool
    created: str
    created_by: str | None = None
    updated: str
    expiry: str | None = None
    status: Literal["created", "started", "done", "error"]
    error: Fault | None = None


class DeletionTask(msgspec.Struct, kw_only=True, frozen=True):
    """The body of a deletion request's record: the document, and what the runner needs.

    Segments of this `life` go, of a flow that stays only those that were there at `created_ns`,
    and with `object_id` only those of that object. `after` is the `end_ns` of the last segment
    that was looked at. `auth_classes` are those of the flow, which may be gone by now. Times are
    nanoseconds since 1970.
    """

    document: DeletionRequest
    life: int
    created_ns: int
    object_id: str | None = None
    after: int | None = None
    expiry_ns: int | None = None
    auth_classes: tuple[str, ...] = ()
