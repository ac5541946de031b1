"""Profiles: immutable technical parts that flows are made from (R-PRF)."""

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.domain import technical
from tams_gateway.domain.body import Body, parse
from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.flow import DateTime
from tams_gateway.domain.identifiers import Uuid
from tams_gateway.domain.tags import Tags, tag_fields
from tams_gateway.domain.technical import ProfileTechnical


class _Sent(msgspec.Struct, kw_only=True, frozen=True):
    id: Uuid
    label: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    created: DateTime | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    flow_metadata: ProfileTechnical


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


_sent = Body(_Sent)


def parse_post(body: bytes, profile_id: str, created: str, principal: str | None) -> Profile:
    """Read the body of POST /service/profiles/{profileId}; raises `Invalid` (R-PRF-01 to -05)."""
    plain = parse(body)
    sent = _sent.convert(plain)
    if sent.id != profile_id:
        raise Invalid.at("/id", f"is {sent.id}, but the path names {profile_id}")
    assert isinstance(plain, dict)
    for name in plain["flow_metadata"]:
        if name not in technical.MEMBERS:
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
