"""Query filters that several listings share, as conditions for the store (R-PAGE-13 to -18)."""

from collections.abc import Iterable

from tams_gateway.operations.params import Params
from tams_gateway.storage.query import Absent, Condition, Equal, OneOf


def equal(field: str, value: int | bool | str | None) -> Iterable[Condition]:
    """Return the filter for equality, nothing where the parameter is absent."""
    return () if value is None else (Equal(field, value),)


def collected_by(params: Params) -> Iterable[Condition]:
    """Return the filter of `collected_by_ids`; blank asks for what nothing collects (R-PAGE-17)."""
    ids = params.uuids("collected_by_ids")
    if ids is None:
        return ()
    return (OneOf("collected_by", ids),) if ids else (Absent("collected_by"),)


def tags(params: Params) -> Iterable[Condition]:
    """Return the filters of `tag.NAME` and `tag_exists.NAME`, all of which must hold."""
    return [one.condition() for one in params.tag_filters()]
