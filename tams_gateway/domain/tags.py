"""Tags: free names, a string or a list of strings as the value (R-FPR-01)."""

from collections.abc import Mapping
from typing import TypeAlias

TagValue: TypeAlias = str | list[str]
Tags: TypeAlias = dict[str, TagValue]


def tag_fields(tags: Mapping[str, TagValue]) -> dict[str, frozenset[str]]:
    """Return the fields by which records are found by their tags (R-PAGE-14, -15)."""
    return {
        f"tag.{name}": frozenset([value] if isinstance(value, str) else value)
        for name, value in tags.items()
    }
