"""Query filters that several listings share, as conditions for the store (R-PAGE-13 to -18)."""

from collections.abc import Iterable
from typing import Final

from tams_gateway.auth.access import Access
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.params import Params
from tams_gateway.operations.visibility import among
from tams_gateway.storage.query import Absent, Condition, Equal, OneOf
from tams_gateway.storage.records import Kind

UNCOLLECTED: Final = Absent("collected_by")
"""The condition of what nothing collects."""


def equal(field: str, value: int | bool | str | None) -> Iterable[Condition]:
    """Return the filter for equality, nothing where the parameter is absent."""
    return () if value is None else (Equal(field, value),)


def collected_by(
    gateway: Gateway, access: Access, kind: Kind, params: Params
) -> Iterable[Condition]:
    """Return the filter of `collected_by_ids`; blank asks for what nothing collects (R-PAGE-17).

    What the principal may not read collects nothing that it is told of.
    """
    ids = params.uuids("collected_by_ids")
    if ids is None:
        return ()
    if not ids:
        return (UNCOLLECTED,)
    return (OneOf("collected_by", tuple(sorted(among(gateway, access, kind, ids)))),)


def tags(params: Params) -> Iterable[Condition]:
    """Return the filters of `tag.NAME` and `tag_exists.NAME`, all of which must hold."""
    return [one.condition() for one in params.tag_filters()]
