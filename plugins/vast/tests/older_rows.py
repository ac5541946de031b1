"""Rows of the older server with whatever was found wrong in such tables, and what is right."""

import json
from typing import Any, Final

from plugins.vast.tests.older import Row, at

VIDEO: Final = "urn:x-nmos:format:video"
AUDIO: Final = "urn:x-nmos:format:audio"


def id_(kind: str, number: int) -> str:
    """Return a UUID that shows what it is of: `f` for flows, `a` for sources."""
    return f"{kind * 8}-0000-4000-8000-{number:012d}"


def flow(number: int, **more: Any) -> Row:
    """Return a good video flow, with these columns instead."""
    return {
        "id": id_("f", number),
        "source_id": id_("a", number),
        "format": VIDEO,
        "codec": "video/h264",
        "container": "video/mp2t",
        "label": f"flow {number}",
        "created_by": "ada",
        "updated_by": "bob",
        "created": at(number),
        "metadata_updated": at(100 + number),
        "segments_updated": at(200 + number),
        "frame_width": 1920,
        "frame_height": 1080,
        "frame_rate": "25",
        **more,
    }


def segment(flow: int, object_id: str, timerange: str, seconds: float = 0, **more: Any) -> Row:
    """Return a segment whose bytes are where its path says."""
    return {
        "id": object_id,
        "flow_id": id_("f", flow),
        "object_id": object_id,
        "timerange": timerange,
        "created": at(seconds),
        "storage_path": f"2025/03/01/{object_id}",
        **more,
    }


STORED: Final = {
    **{f"2025/03/01/{name}": name for name in ("one", "two", "shared", "late", "many", "plain")},
    "tams/by-url": "by-url",
    "2025/02/28/by-date": "by-date",
    "2025/03/01/no-row": "no-row",
}
"""The keys of the bucket, and what is there."""

NEWER: Final[dict[str, list[Row]]] = {
    "flows": [
        flow(
            1,
            frame_rate="29.97",
            interlace_mode="progressive",
            color_sampling="4:2:0",
            color_space="BT.709",
            color_primaries="bt709",
            transfer_characteristics="SDR",
            read_only=True,
            segment_duration='{"numerator": 2}',
            metadata_version="v7",
            max_bit_rate=5_000_000,
        ),
        flow(
            2,
            format=AUDIO,
            codec="audio/aac",
            frame_width=None,
            frame_height=None,
            frame_rate=None,
            sample_rate="48000",
            channels=2,
        ),
        flow(
            3,
            format="urn:x-nmos:format:multi",
            codec=None,
            container=None,
            frame_width=0,
            frame_height=0,
            frame_rate="",
            flow_collection=json.dumps(
                [
                    {"id": id_("f", 1), "role": "picture"},
                    {"id": id_("f", 99)},
                    {"id": id_("f", 3)},
                    {"id": id_("f", 4)},
                ]
            ),
        ),
        flow(4, frame_width=None),
        flow(5, id=id_("f", 5).upper(), source_id=id_("a", 1)),
        {**flow(6), "id": "camera-6", "source_id": "studio"},
        flow(7, label="older"),
        flow(7, label="newer", metadata_updated=at(900)),
        flow(8, frame_rate=None, container=None),
        flow(9, flow_collection=json.dumps([{"id": id_("f", 10)}])),
        flow(10, flow_collection=json.dumps([id_("f", 9)])),
        flow(11, flow_collection="not JSON", label="l" * 300),
        flow(12, created=None, metadata_updated=None),
        flow(13, source_id=None),
    ],
    "sources": [
        {
            "id": id_("a", 1),
            "format": VIDEO,
            "label": "the studio",
            "created_by": "cy",
            "created": at(-5),
            "updated": at(-1),
        },
        {
            "id": id_("a", 3),
            "format": VIDEO,
            "created": at(3),
            "source_collection": json.dumps([{"id": id_("a", 1)}, {"id": id_("a", 77)}]),
        },
        {"id": id_("a", 50), "format": VIDEO, "label": "no flows"},
        {"id": "studio", "format": VIDEO, "created": at(6)},
    ],
    "source_collections": [{"collection_id": id_("a", 3), "source_id": id_("a", 2)}],
    "flow_collections": [
        {"collection_id": id_("f", 3), "flow_id": id_("f", 2), "label": "sound"},
        {"collection_id": id_("f", 60), "flow_id": id_("f", 2)},
    ],
    "tags": [
        {"entity_type": "flow", "entity_id": id_("f", 1), "tag_name": "a", "tag_value": "x"},
        {"entity_type": "flow", "entity_id": id_("f", 1), "tag_name": "a", "tag_value": "y"},
        {"entity_type": "flow", "entity_id": id_("f", 1), "tag_name": "l", "tag_value": '["p"]'},
        {"entity_type": "source", "entity_id": id_("a", 1), "tag_name": "s", "tag_value": "v"},
        {"entity_type": "flow", "entity_id": id_("f", 70), "tag_name": "a", "tag_value": "x"},
    ],
    "segments": [
        segment(1, "one", "[0:0_1:0)", 1, sample_count=25, ts_offset=""),
        segment(1, "two", "[1:0_2:0)", 2, storage_path="s3://older/2025/03/01/two"),
        segment(1, "late", "[1:500000000_3:0)", 9),
        segment(1, "shared", "[5:0_6:0)", 3, ts_offset="5:0"),
        segment(7, "shared", "[10:0_12:0)", 4, ts_offset="10:0"),
        segment(1, "one", "[0:0_1:0)", 8),
        segment(1, "gone", "[20:0_21:0)"),
        segment(1, "odd", "0:0-1:0"),
        segment(1, "", "[30:0_31:0)"),
        segment(
            1,
            "by-url",
            "[40:0_41:0)",
            storage_path=None,
            get_urls=json.dumps(
                [
                    {"url": "http://s3.old/older/tams/by-url?X-Amz-Signature=1", "label": "s3"},
                    {"url": "https://cdn.example/x.ts", "label": "cdn"},
                ]
            ),
        ),
        segment(1, "by-date", "[50:0_51:0)", storage_path=None, get_urls="not JSON"),
        segment(1, "no-row", "[60:0_61:0)"),
        segment(
            1,
            "elsewhere",
            "[70:0_71:0)",
            storage_path=None,
            get_urls='[{"url": "https://cdn.example/y.ts"}, "https://cdn.example/z.ts"]',
        ),
        segment(8, "many", "[0:0_1:0)"),
        segment(8, "same", "[1:0_2:0)", 30, storage_path="2025/03/01/many"),
        segment(4, "refused", "[0:0_1:0)"),
        segment(80, "lost", "[0:0_1:0)"),
    ],
    "objects": [
        {"id": name, "size": 3, "created": at(0)}
        for name in (
            *("one", "two", "late", "shared", "gone", "odd", "by-url", "by-date", "elsewhere"),
            *("many", "same", "refused", "lost", "never", "never"),
        )
    ],
    "flow_object_references": [
        {"object_id": "one", "flow_id": id_("f", 1)},
        {"object_id": "one", "flow_id": id_("f", 2)},
    ],
    "webhooks": [
        {
            "id": id_("b", 1),
            "url": "https://hooks.example/a",
            "api_key_name": "x-key",
            "api_key_value": "open sesame",
            "events": '["flows/created"]',
            "flow_ids": json.dumps(["camera-6"]),
            "owner_id": "u1",
        },
        {"id": id_("b", 2), "url": "gopher://hooks.example", "events": "[]"},
        {"id": id_("b", 3), "url": "https://hooks.example/c", "events": "all of them"},
    ],
    "users": [
        {"user_id": "u1", "username": "ada", "is_admin": True, "password_hash": "h4sh"},
    ],
    "api_tokens": [{"token_id": "t1", "user_id": "u1", "token_hash": "t0ken"}],
    "deletion_requests": [
        {"id": id_("d", 1), "flow_id": id_("f", 1), "status": "done"},
        {"id": id_("d", 2), "flow_id": id_("f", 1), "status": "started"},
    ],
}
"""As the branches `dev` and `release_7.0` have them."""

PROBLEMS: Final = {
    ("value without a place", "mended", "flows"): 1,
    ("tag given twice", "mended", "flows"): 1,
    ("collection of what is not there", "mended", "flows"): 2,
    ("collection in a circle", "mended", "flows"): 2,
    ("collection of what is not there", "left out", "flow_collections"): 1,
    ("JSON that is none", "mended", "flows"): 1,
    ("flow refused", "left out", "flows"): 1,
    ("id is no UUID in lower case", "mended", "flows"): 2,
    ("id given twice", "left out", "flows"): 1,
    ("video without frame rate", "mended", "flows"): 1,
    ("flow without container", "mended", "flows"): 2,
    ("label too long", "mended", "flows"): 1,
    ("flow of a missing source", "mended", "flows"): 8,
    ("flow without a time", "mended", "flows"): 1,
    ("source of another format", "mended", "sources"): 1,
    ("source without flows", "left out", "sources"): 1,
    ("source collection", "left out", "sources"): 1,
    ("tag of what is not here", "left out", "tags"): 1,
    ("segments overlap", "left out", "segments"): 1,
    ("segment given twice", "left out", "segments"): 1,
    ("segment refused", "left out", "segments"): 1,
    ("bytes that are not there", "left out", "segments"): 1,
    ("timerange that is none", "left out", "segments"): 1,
    ("segment without an object", "left out", "segments"): 1,
    ("JSON that is none", "mended", "segments"): 1,
    ("object without a row", "mended", "segments"): 1,
    ("segment of a flow that was left out", "left out", "segments"): 1,
    ("segment of no flow", "left out", "segments"): 1,
    ("object without segments", "left out", "objects"): 1,
    ("id given twice", "left out", "objects"): 1,
    ("reference without segment", "left out", "flow_object_references"): 1,
    ("webhook refused", "left out", "webhooks"): 1,
    ("JSON that is none", "left out", "webhooks"): 1,
    ("user to be made anew", "left out", "users"): 1,
    ("token to be made anew", "left out", "api_tokens"): 1,
    ("deletion request", "left out", "deletion_requests"): 1,
    ("deletion request that had not ended", "left out", "deletion_requests"): 1,
    ("table that is not read", "left out", "auth_logs"): 1,
}
"""How often each problem is met in them."""

MAIN: Final[dict[str, list[Row]]] = {
    "flows": [
        {
            "id": id_("f", 1),
            "source_id": id_("a", 1),
            "format": VIDEO,
            "codec": "video/h264",
            "container": "video/mp2t",
            "frame_width": 640,
            "frame_height": 360,
            "frame_rate": "50/1",
            "tags": '{"a": "x", "n": 5, "l": ["p", "q"]}',
            "created": at(0),
        },
        {
            "id": id_("f", 2),
            "source_id": id_("a", 2),
            "format": AUDIO,
            "codec": "audio/aac",
            "sample_rate": "48000",
            "channels": 1,
            "tags": "{broken",
            "created": at(1),
        },
    ],
    "sources": [{"id": id_("a", 1), "format": VIDEO, "tags": '{"s": "v"}', "created": at(0)}],
    "segments": [
        {
            "id": "plain",
            "flow_id": id_("f", 1),
            "object_id": "plain",
            # The text is the truth: what these columns say is another time.
            "timerange": "[0:0_1:999999999]",
            "start_time": at(0),
            "end_time": at(1),
        }
    ],
    "objects": [{"id": "plain", "size": 5, "created": at(0)}],
}
"""As the branch `main` has them."""
