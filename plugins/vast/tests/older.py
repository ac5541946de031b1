"""The older server's tables, made as it makes them: by the SDK's own calls."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import pyarrow as pa
import vastdb

Row = Mapping[str, object]

START: Final = datetime(2025, 3, 1, 10, 0, 0)

_TYPES: Final = {
    "s": pa.string(),
    "t": pa.timestamp("us"),
    "b": pa.bool_(),
    "i": pa.int32(),
    "l": pa.int64(),
    "d": pa.float64(),
}

NEWER: Final = {
    "sources": "id s, format s, label s, description s, created_by s, updated_by s, created t, "
    "updated t, source_collection s, collected_by s",
    "flows": "id s, source_id s, format s, codec s, label s, description s, created_by s, "
    "updated_by s, created t, metadata_updated t, segments_updated t, container s, read_only b, "
    "metadata_version s, generation i, segment_duration s, frame_width i, frame_height i, "
    "frame_rate s, interlace_mode s, color_sampling s, color_space s, transfer_characteristics s, "
    "color_primaries s, sample_rate s, bits_per_sample i, channels i, max_bit_rate i, "
    "avg_bit_rate i, flow_collection s",
    "segments": "id s, flow_id s, object_id s, timerange s, ts_offset s, last_duration s, "
    "sample_offset l, sample_count l, get_urls s, key_frame_count i, created t, storage_path s, "
    "start_time t, end_time t, duration_seconds d",
    "objects": "id s, size l, created t, last_accessed t, access_count i",
    "flow_object_references": "object_id s, flow_id s, created t",
    "flow_collections": "collection_id s, flow_id s, label s, description s, created t, "
    "created_by s",
    "source_collections": "collection_id s, source_id s, label s, description s, created t, "
    "created_by s",
    "tags": "id s, entity_type s, entity_id s, tag_name s, tag_value s, created t, updated t, "
    "created_by s, updated_by s",
    "webhooks": "id s, url s, api_key_name s, api_key_value s, events s, flow_ids s, "
    "source_ids s, flow_collected_by_ids s, source_collected_by_ids s, accept_get_urls s, "
    "accept_storage_ids s, presigned b, verbose_storage b, owner_id s, created_by s, created t, "
    "updated t",
    "deletion_requests": "id s, flow_id s, timerange s, status s, created t, updated t",
    "users": "user_id s, username s, is_active b, is_admin b, password_hash s, password_salt s",
    "api_tokens": "token_id s, user_id s, token_hash s, token_name s, is_active b",
    "auth_logs": "log_id s, user_id s, event_type s",
}
"""The columns of the branches `dev` and `release_7.0`."""

MAIN: Final = {
    "sources": "id s, format s, label s, tags s, created t, updated t",
    "flows": "id s, source_id s, format s, codec s, label s, tags s, created t, container s, "
    "frame_width i, frame_height i, frame_rate s, sample_rate s, channels i, flow_collection s",
    "segments": "id s, flow_id s, object_id s, timerange s, get_urls s, start_time t, end_time t",
    "objects": "id s, size l, created t",
    "webhooks": "id s, url s, events s, created t",
    "deletion_requests": "id s, flow_id s, timerange s, status s, created t",
}
"""The columns of the branch `main`, or some of them: none may be relied on."""


def write(
    options: Mapping[str, str], layout: Mapping[str, str], rows: Mapping[str, Sequence[Row]]
) -> None:
    """Make a schema with all tables of a layout, and insert rows; what a row lacks is null."""
    session = vastdb.connect(
        endpoint=options["endpoint"],
        access=options["access_key"],
        secret=options["secret_key"],
    )
    with session.transaction() as transaction:
        schema = transaction.bucket(options["bucket"]).create_schema(options["schema"])
        for name, columns in layout.items():
            fields = [one.split() for one in columns.split(", ")]
            shape = pa.schema([(field, _TYPES[kind]) for field, kind in fields])
            table = schema.create_table(name, shape)
            if rows.get(name):
                table.insert(pa.Table.from_pylist(list(rows[name]), schema=shape))


def at(seconds: float) -> datetime:
    """Return a time, seconds after `START`."""
    return START + timedelta(seconds=seconds)
