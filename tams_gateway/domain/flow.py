"""Flows: what clients send, what is kept, what follows from it (R-FLW)."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Raw, UnsetType

from tams_gateway.domain import technical
from tams_gateway.domain.body import Body, Label, LooseMime, Natural, TimerangeText
from tams_gateway.domain.errors import Invalid, ReadOnly
from tams_gateway.domain.identifiers import Uuid
from tams_gateway.domain.tags import Tags, auth_classes, tag_fields
from tams_gateway.domain.technical import ContainerMapping, Technical

Status: TypeAlias = Literal[
    "awaiting_content", "ingesting", "replication_in_progress", "closed_complete"
]
"""The client's word on the flow; it gates nothing (R-FLW-15)."""

STATUSES: tuple[str, ...] = get_args(Status)

DateTime: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class CollectionItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member of a flow's collection, in the order that the client gave (R-COL-01, -02)."""

    id: Uuid
    role: str | UnsetType = UNSET
    container_mapping: ContainerMapping | UnsetType = UNSET


class _Common(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What clients set on any flow."""

    id: Uuid
    source_id: Uuid
    label: Label | UnsetType = UNSET
    description: str | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    updated_by: str | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    metadata_version: str | UnsetType = UNSET
    generation: Natural | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    read_only: bool | UnsetType = UNSET
    max_bit_rate: Natural | UnsetType = UNSET
    flow_collection: tuple[CollectionItem, ...] | UnsetType = UNSET


class _Sent(_Common, kw_only=True, frozen=True):
    """A PUT body's common part, with what is checked and then ignored (R-FLW-04)."""

    profile_id: str | UnsetType = UNSET
    created: DateTime | UnsetType = UNSET
    metadata_updated: DateTime | UnsetType = UNSET
    segments_updated: DateTime | UnsetType = UNSET
    timerange: TimerangeText | UnsetType = UNSET
    collected_by: list[Uuid] | UnsetType = UNSET


class Flow(_Common, kw_only=True, frozen=True):
    """A flow as it is kept: the document of GET, less `segments_updated` and `timerange`.

    The technical part has passed its checks; parts of it that no rule reads stay raw JSON.
    """

    format: str
    codec: str | UnsetType = UNSET
    container: LooseMime | UnsetType = UNSET
    avg_bit_rate: int | UnsetType = UNSET
    segment_duration: Raw | UnsetType = UNSET
    container_mapping: Raw | UnsetType = UNSET
    essence_parameters: Raw | UnsetType = UNSET
    profile_id: str | UnsetType = UNSET
    created: str | UnsetType = UNSET
    metadata_updated: str | UnsetType = UNSET
    collected_by: tuple[str, ...] | UnsetType = UNSET

    @property
    def members(self) -> tuple[str, ...]:
        """The ids of the flows that this one collects, in order."""
        if isinstance(self.flow_collection, UnsetType):
            return ()
        return tuple(item.id for item in self.flow_collection)

    @property
    def collectors(self) -> tuple[str, ...]:
        """The ids of the flows that collect this one."""
        return () if isinstance(self.collected_by, UnsetType) else self.collected_by

    def check_writable(self) -> None:
        """Raise `ReadOnly` if the flow is (R-FLW-12)."""
        if self.read_only is True:
            raise ReadOnly(f"flow {self.id} is read-only; PUT false to its read_only first")

    @property
    def uses_init_segments(self) -> bool:
        """Whether every object of the flow has an init object (R-SEG-30)."""
        return self._essence().init_segments is True

    def fields(self) -> dict[str, int | bool | str | frozenset[str]]:
        """Return the fields by which the flow is found, but those of time and life."""
        essence = self._essence()
        video = self.format == "urn:x-nmos:format:video"
        values = {
            "label": self.label,
            "source_id": self.source_id,
            "format": self.format,
            "codec": self.codec,
            "profile_id": self.profile_id,
            "status": self.status,
            "frame_width": essence.frame_width if video else UNSET,
            "frame_height": essence.frame_height if video else UNSET,
            # Unset counts as false in the filter (R-FLW-21).
            "init_segments": essence.init_segments is True,
            "collected_by": frozenset(self.collectors) if self.collectors else UNSET,
            "collects": frozenset(self.members) if self.members else UNSET,
            "auth_classes": auth_classes(self.tags),
        }
        found = {name: value for name, value in values.items() if not isinstance(value, UnsetType)}
        if not isinstance(self.tags, UnsetType):
            return {**found, **tag_fields(self.tags)}
        return found

    def _essence(self) -> "_Essence":
        if isinstance(self.essence_parameters, UnsetType):
            return _Essence()
        return _essence.decode(self.essence_parameters)


class _Essence(msgspec.Struct):
    """The essence parameters that rules and filters read."""

    frame_width: int | UnsetType = UNSET
    frame_height: int | UnsetType = UNSET
    init_segments: bool | UnsetType = UNSET


_sent: Body[_Sent] = Body(_Sent)
_technical: Body[Technical] = Body(Technical)  # type: ignore[arg-type]
_given = Body(msgspec.defstruct("_Given", [(name, Raw, UNSET) for name in technical.MEMBERS]))
_essence = msgspec.json.Decoder(_Essence)
_KEPT = _Common.__struct_fields__


class FlowPut(msgspec.Struct, frozen=True):
    """A PUT body that passed its form.

    `technical` is None where the flow is to take it from the profile `profile_id`; with a
    technical part the profile is None (R-PRF-09, -12). `unlinks` says that the body carried the
    empty `profile_id`, which takes the flow off its profile.
    """

    common: _Common
    profile_id: str | None
    technical: Technical | None
    unlinks: bool = False

    def flow(self, technical_part: Technical) -> Flow:
        """Return the flow that this body describes, with that technical part."""
        common = {name: getattr(self.common, name) for name in _KEPT}
        part = msgspec.json.decode(msgspec.json.encode(technical_part), type=_TechnicalDocument)
        return Flow(
            **common,
            **{name: getattr(part, name) for name in technical.MEMBERS},
            profile_id=UNSET if self.profile_id is None else self.profile_id,
        )


class _TechnicalDocument(msgspec.Struct):
    """A technical part with its nested parts as raw JSON, as `Flow` keeps them."""

    format: str
    codec: str | UnsetType = UNSET
    container: str | UnsetType = UNSET
    avg_bit_rate: int | UnsetType = UNSET
    segment_duration: Raw | UnsetType = UNSET
    container_mapping: Raw | UnsetType = UNSET
    essence_parameters: Raw | UnsetType = UNSET


def parse_put(body: bytes, flow_id: str) -> FlowPut:
    """Read the body of PUT /flows/{flowId}; raises `Invalid` (R-FLW-02, R-PRF-09 to -16)."""
    common = _sent.decode(body)
    if common.id != flow_id:
        raise Invalid.at("/id", f"is {common.id}, but the path names {flow_id}")
    if isinstance(common.profile_id, UnsetType) or common.profile_id == "":
        part = _technical.decode(body)
        technical.check(part)
        return FlowPut(common, None, part, common.profile_id == "")
    _check_profile_only(body, common.profile_id)
    return FlowPut(common, common.profile_id, None)


def _check_profile_only(body: bytes, profile_id: str) -> None:
    """Refuse technical members beside a profile, whose whole point is to give them (R-PRF-09)."""
    given = _given.decode(body)
    for name in technical.MEMBERS:
        if getattr(given, name) is not UNSET:
            raise Invalid.at(
                f"/{name}",
                f"must not be given beside profile_id {profile_id}, which gives it; "
                'to unlink the flow send profile_id "" and the whole technical part',
            )
