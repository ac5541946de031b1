"""Documents that a client may send, one for each kind; any member may be set otherwise."""

import uuid
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from tams_gateway.storage.key_ring import Key, KeyRing

Document = dict[str, Any]

UNKNOWN: Final = "00000000-0000-4000-8000-000000000000"
"""A well-formed id that nothing has."""

MALFORMED: Final = (
    "no-uuid",
    "00000000000040008000000000000000",
    "{00000000-0000-4000-8000-000000000000}",
    "00000000-0000-4000-8000-00000000000A",
    "00000000-0000-4000-8000-000000000000\n",
    "00000000-0000-7000-8000-000000000000",
    "00000000-0000-4000-c000-000000000000",
    "00000000-0000-0000-0000-000000000000",
)
"""What a lenient reader of UUIDs takes for one; R-GEN-04 does not."""

KEYS: Final = KeyRing(lambda: [Key("kit", b"k" * 32)])
"""A ring of one key, the same in every process."""

TECHNICAL: Final[Mapping[str, Document]] = {
    "video": {
        "format": "urn:x-nmos:format:video",
        "codec": "video/h264",
        "container": "video/mp2t",
        "essence_parameters": {
            "frame_rate": {"numerator": 25},
            "frame_width": 1920,
            "frame_height": 1080,
        },
    },
    "audio": {
        "format": "urn:x-nmos:format:audio",
        "codec": "audio/aac",
        "container": "video/mp2t",
        "essence_parameters": {"sample_rate": 48000, "channels": 2},
    },
    "image": {
        "format": "urn:x-tam:format:image",
        "codec": "image/jpeg",
        "container": "image/jpeg",
        "essence_parameters": {"frame_width": 320, "frame_height": 180},
    },
    "data": {
        "format": "urn:x-nmos:format:data",
        "codec": "application/ttml+xml",
        "container": "application/xml",
        "essence_parameters": {"data_type": "urn:x-tam:data_type:subtitles"},
    },
    "multi": {"format": "urn:x-nmos:format:multi", "container": "video/mp2t"},
}
"""The technical part of a flow, by the last word of its format."""


def new_id() -> str:
    """Return a fresh id for a flow, source or profile."""
    return str(uuid.uuid4())


def flow(kind: str = "video", **members: Any) -> Document:
    """Return a flow to put, with fresh ids; a member of None is left out."""
    document = {"id": new_id(), "source_id": new_id(), **deepcopy(TECHNICAL[kind]), **members}
    return {name: value for name, value in document.items() if value is not None}


def profile(kind: str = "video", **members: Any) -> Document:
    """Return a profile to post, with a fresh id."""
    document = {
        "id": new_id(),
        "label": f"House {kind}",
        "flow_metadata": deepcopy(TECHNICAL[kind]),
        **members,
    }
    return {name: value for name, value in document.items() if value is not None}


def segment(timerange: str, object_id: str | None = None, **members: Any) -> Document:
    """Return a segment of an object that lies elsewhere, to post."""
    object_id = object_id or f"elsewhere-{new_id()}"
    url = f"https://media.example/{object_id}.ts"
    return {
        "object_id": object_id,
        "timerange": timerange,
        "get_urls": [{"label": "elsewhere", "url": url}],
        **members,
    }
