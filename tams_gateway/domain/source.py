"""Sources as they are kept (R-SRC): derived from flows, but for label, description and tags."""

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.domain.tags import Tags, auth_classes, tag_fields


class SourceItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member of a source's collection, derived from a flow's (R-SRC-08)."""

    id: str
    role: str | UnsetType = UNSET


class Source(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A source: the document of GET."""

    id: str
    format: str
    label: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    updated_by: str | UnsetType = UNSET
    created: str | UnsetType = UNSET
    updated: str | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    source_collection: tuple[SourceItem, ...] | UnsetType = UNSET
    collected_by: tuple[str, ...] | UnsetType = UNSET

    @property
    def members(self) -> tuple[str, ...]:
        """The ids of the sources that this one collects."""
        if isinstance(self.source_collection, UnsetType):
            return ()
        return tuple(item.id for item in self.source_collection)

    @property
    def collectors(self) -> tuple[str, ...]:
        """The ids of the sources that collect this one."""
        return () if isinstance(self.collected_by, UnsetType) else self.collected_by

    def fields(self) -> dict[str, int | bool | str | frozenset[str]]:
        """Return the fields by which the source is found, but its times and count of flows."""
        fields: dict[str, int | bool | str | frozenset[str]] = {
            "format": self.format,
            "auth_classes": auth_classes(self.tags),
        }
        if not isinstance(self.label, UnsetType):
            fields["label"] = self.label
        if self.collectors:
            fields["collected_by"] = frozenset(self.collectors)
        if not isinstance(self.tags, UnsetType):
            fields.update(tag_fields(self.tags))
        return fields
