"""Tags: free names, a string or a list of strings as the value (R-FPR-01)."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import UnsetType

TagValue: TypeAlias = str | list[str]
Tags: TypeAlias = dict[str, TagValue]

AUTH_CLASSES: Final = "auth_classes"
"""The tag with the classes of a resource, and the field of records that holds them (R-AUTH-09)."""

UNCLASSIFIED: Final = ""
"""The class of what has none."""


def tag_fields(tags: Mapping[str, TagValue]) -> dict[str, frozenset[str]]:
    """Return the fields by which records are found by their tags (R-PAGE-14, -15)."""
    return {
        f"tag.{name}": frozenset([value] if isinstance(value, str) else value)
        for name, value in tags.items()
    }


def auth_classes(tags: Mapping[str, TagValue] | UnsetType) -> frozenset[str]:
    """Return the classes of a resource by its tags, `UNCLASSIFIED` for none (R-AUTH-09)."""
    value = () if isinstance(tags, UnsetType) else tags.get(AUTH_CLASSES, ())
    named = frozenset([value] if isinstance(value, str) else value) - {UNCLASSIFIED}
    return named or frozenset([UNCLASSIFIED])
