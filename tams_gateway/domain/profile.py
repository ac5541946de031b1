"""Profiles: immutable technical parts that flows are made from (R-PRF)."""

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tams_gateway.domain import technical
from tams_gateway.domain.body import Body, Label
from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.flow import DateTime, Flow
from tams_gateway.domain.identifiers import Uuid
from tams_gateway.domain.tags import Tags, tag_fields
from tams_gateway.domain.technical import ProfileTechnical


class _Sent(msgspec.Struct, kw_only=True, frozen=True):
    id: Uuid
    label: Label | UnsetType = UNSET
    description: str | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    created: DateTime | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    flow_metadata: ProfileTechnical


class _Metadata(msgspec.Struct, frozen=True):
    flow_metadata: Raw


class Profile(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A profile: the document of GET."""

    id: str
    label: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    created: str
    tags: Tags | UnsetType = UNSET
    flow_metadata: ProfileTechnical

    def fields(self) -> dict[str, int | bool | str | frozenset[str]]:
        """Return the fields by which the profile is found, but its time."""
        fields: dict[str, int | bool | str | frozenset[str]] = {
            "format": str(self.flow_metadata.__struct_config__.tag),
            "codec": self.flow_metadata.codec,
        }
        if not isinstance(self.label, UnsetType):
            fields["label"] = self.label
        if not isinstance(self.tags, UnsetType):
            fields.update(tag_fields(self.tags))
        return fields


_NOT_TECHNICAL = tuple(name for name in Flow.__struct_fields__ if name not in technical.MEMBERS)
"""The members of a flow that a profile cannot give (R-PRF-05)."""

_sent = Body(_Sent)
_metadata = Body(_Metadata)
_others = Body(msgspec.defstruct("_Others", [(name, Raw, UNSET) for name in _NOT_TECHNICAL]))


def parse_post(body: bytes, profile_id: str, created: str, principal: str | None) -> Profile:
    """Read the body of POST /service/profiles/{profileId}; raises `Invalid` (R-PRF-01 to -05)."""
    sent = _sent.decode(body)
    if sent.id != profile_id:
        raise Invalid.at("/id", f"is {sent.id}, but the path names {profile_id}")
    others = _others.decode(bytes(_metadata.decode(body).flow_metadata))
    for name in _NOT_TECHNICAL:
        if getattr(others, name) is not UNSET:
            raise Invalid.at(f"/flow_metadata/{name}", "is not a technical property")
    technical.check(sent.flow_metadata, "/flow_metadata")
    return Profile(
        id=sent.id,
        label=sent.label,
        description=sent.description,
        created_by=principal if sent.created_by is UNSET and principal else sent.created_by,
        created=created,
        tags=sent.tags,
        flow_metadata=sent.flow_metadata,
    )
