"""The technical part of flows and profiles: the five formats (R-FLW-07 to -09)."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.domain.body import Integer, LooseMime, Natural, Positive
from tams_gateway.domain.errors import Invalid


class _Part(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A part of a document, of which only what was sent is kept."""


class _Essence(_Part, frozen=True, forbid_unknown_fields=True):
    """Essence parameters: unknown ones are refused (R-FLW-08)."""


class Ratio(_Part, frozen=True):
    """A ratio of two positive integers."""

    numerator: Positive
    denominator: Positive


class Rate(_Part, frozen=True):
    """A rate or duration; without a denominator it is over 1."""

    numerator: Positive
    denominator: Positive | UnsetType = UNSET


class _AudioTrack(_Part, frozen=True):
    channel_numbers: Annotated[list[Natural], msgspec.Meta(min_length=1)] | UnsetType = UNSET
    channel_range: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+_[0-9]+\Z")] | UnsetType = UNSET


class _TransportStream(_Part, frozen=True):
    pid: Integer | UnsetType = UNSET


class _Mxf(_Part, frozen=True):
    package_uid: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=r"^(urn:smpte:umid:[0-9a-fA-F]{8}(.[0-9a-fA-F]{8}){7}"
                r"|urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z"
            ),
        ]
        | UnsetType
    ) = UNSET
    track_id: Integer | UnsetType = UNSET


class _IsoBmff(_Part, frozen=True):
    track_id: Integer | UnsetType = UNSET


class ContainerMapping(_Part, frozen=True):
    """Where the essence of a flow is in a container."""

    track_index: Natural | UnsetType = UNSET
    format_track_index: Natural | UnsetType = UNSET
    audio_track: _AudioTrack | UnsetType = UNSET
    mp2ts_container: _TransportStream | UnsetType = UNSET
    mxf_container: _Mxf | UnsetType = UNSET
    isobmff_container: _IsoBmff | UnsetType = UNSET


VideoPacking: TypeAlias = Literal[
    "planar", "YUYV", "UYVY", "AYUV", "v210", "v216", "RGB", "RGBx", "xRGB", "BGRx", "xBGR",
    "RGBA", "ARGB", "BGRA", "ABGR", "alpha",
]  # fmt: skip
_YUV = ("YUYV", "UYVY", "AYUV", "v210", "v216")


class _VideoUncompressed(_Part, frozen=True):
    unc_type: VideoPacking


class _Avc(_Part, frozen=True):
    profile: Integer
    level: Integer
    flags: Integer


class VideoEssence(_Essence, frozen=True):
    """Essence parameters of a video flow."""

    frame_width: Positive
    frame_height: Positive
    bit_depth: Positive | UnsetType = UNSET
    interlace_mode: (
        Literal["progressive", "interlaced_tff", "interlaced_bff", "interlaced_psf"] | UnsetType
    ) = UNSET
    colorspace: Literal["BT601", "BT709", "BT2020", "BT2100"] | UnsetType = UNSET
    transfer_characteristic: Literal["SDR", "HLG", "PQ"] | UnsetType = UNSET
    aspect_ratio: Ratio | UnsetType = UNSET
    pixel_aspect_ratio: Ratio | UnsetType = UNSET
    component_type: Literal["YCbCr", "RGB"] | UnsetType = UNSET
    horiz_chroma_subs: Positive | UnsetType = UNSET
    vert_chroma_subs: Positive | UnsetType = UNSET
    unc_parameters: _VideoUncompressed | UnsetType = UNSET
    avc_parameters: _Avc | UnsetType = UNSET
    frame_rate: Rate | UnsetType = UNSET
    vfr: bool | UnsetType = UNSET
    init_segments: bool | UnsetType = UNSET


class _AudioCodec(_Part, frozen=True):
    coded_frame_size: Integer | UnsetType = UNSET
    mp4_oti: Integer | UnsetType = UNSET


class _AudioUncompressed(_Part, frozen=True):
    unc_type: Literal["interleaved", "planar", "pairs"]


class AudioEssence(_Essence, frozen=True):
    """Essence parameters of an audio flow."""

    sample_rate: Positive
    channels: Positive
    bit_depth: Positive | UnsetType = UNSET
    codec_parameters: _AudioCodec | UnsetType = UNSET
    unc_parameters: _AudioUncompressed | UnsetType = UNSET
    init_segments: bool | UnsetType = UNSET


class ImageEssence(_Essence, frozen=True):
    """Essence parameters of an image flow."""

    frame_width: Positive
    frame_height: Positive
    aspect_ratio: Ratio | UnsetType = UNSET


class DataEssence(_Essence, frozen=True):
    """Essence parameters of a data flow."""

    data_type: str | UnsetType = UNSET
    init_segments: bool | UnsetType = UNSET


class MultiEssence(_Essence, frozen=True):
    """Essence parameters of a multi flow."""

    init_segments: bool | UnsetType = UNSET


class _Technical(_Part, frozen=True):
    container: LooseMime | UnsetType = UNSET
    avg_bit_rate: Natural | UnsetType = UNSET
    segment_duration: Rate | UnsetType = UNSET
    container_mapping: ContainerMapping | UnsetType = UNSET


class Video(
    _Technical, kw_only=True, frozen=True, tag_field="format", tag="urn:x-nmos:format:video"
):
    """The technical part of a video flow."""

    codec: LooseMime
    essence_parameters: VideoEssence


class Audio(
    _Technical, kw_only=True, frozen=True, tag_field="format", tag="urn:x-nmos:format:audio"
):
    """The technical part of an audio flow."""

    codec: LooseMime
    essence_parameters: AudioEssence


class Image(
    _Technical, kw_only=True, frozen=True, tag_field="format", tag="urn:x-tam:format:image"
):
    """The technical part of an image flow."""

    codec: LooseMime
    essence_parameters: ImageEssence


class Data(_Technical, kw_only=True, frozen=True, tag_field="format", tag="urn:x-nmos:format:data"):
    """The technical part of a data flow."""

    codec: LooseMime
    essence_parameters: DataEssence


class Multi(
    _Technical, kw_only=True, frozen=True, tag_field="format", tag="urn:x-nmos:format:multi"
):
    """The technical part of a multi flow; a codec is optional."""

    codec: LooseMime | UnsetType = UNSET
    essence_parameters: MultiEssence | UnsetType = UNSET


Technical: TypeAlias = Video | Audio | Image | Data | Multi
ProfileTechnical: TypeAlias = Video | Audio | Image | Data

MEMBERS = (
    "format",
    "codec",
    "container",
    "avg_bit_rate",
    "segment_duration",
    "container_mapping",
    "essence_parameters",
)
"""The members of the technical part: all that a profile can hold (R-PRF-09)."""

FORMATS = (
    "urn:x-nmos:format:video",
    "urn:x-nmos:format:audio",
    "urn:x-tam:format:image",
    "urn:x-nmos:format:data",
    "urn:x-nmos:format:multi",
)


def check(technical: Technical, at: str = "") -> None:
    """Refuse what the schemas say in prose or by conditions only; `at` is the JSON pointer."""
    if isinstance(technical, Video):
        _check_video(technical, f"{at}/essence_parameters")
    elif isinstance(technical, Audio):
        _check_audio(technical, f"{at}/essence_parameters")


def _check_video(video: Video, at: str) -> None:
    essence = video.essence_parameters
    if essence.vfr is True and essence.frame_rate is not UNSET:
        raise Invalid.at(f"{at}/frame_rate", "must not be set where vfr is true")
    if essence.vfr is not True and essence.frame_rate is UNSET:
        raise Invalid.at(f"{at}/frame_rate", "is required unless vfr is true")
    if video.codec == "video/raw":
        _need(at, "bit_depth", essence.bit_depth, "where codec is video/raw")
        _need(at, "unc_parameters", essence.unc_parameters, "where codec is video/raw")
    if (
        not isinstance(essence.unc_parameters, UnsetType)
        and essence.unc_parameters.unc_type in _YUV
    ):
        _need(at, "horiz_chroma_subs", essence.horiz_chroma_subs, "for a YUV unc_type")
        _need(at, "vert_chroma_subs", essence.vert_chroma_subs, "for a YUV unc_type")


def _check_audio(audio: Audio, at: str) -> None:
    essence = audio.essence_parameters
    if audio.codec not in ("audio/x-raw-int", "audio/x-raw-float"):
        return
    _need(at, "bit_depth", essence.bit_depth, f"where codec is {audio.codec}")
    _need(at, "unc_parameters", essence.unc_parameters, f"where codec is {audio.codec}")
    if audio.codec == "audio/x-raw-float" and essence.bit_depth not in (32, 64):
        raise Invalid.at(f"{at}/bit_depth", "must be 32 or 64 where codec is audio/x-raw-float")


def _need(at: str, name: str, value: object, where: str) -> None:
    if value is UNSET:
        raise Invalid.at(f"{at}/{name}", f"is required {where}")
