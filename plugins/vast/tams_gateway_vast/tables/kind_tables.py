"""The tables of records: those of the kinds that have one, and `records` for all others.

`docs/vast-tables.md` tells what each column means. No column beside `body` and `fields` holds a
secret or a hash of one.
"""

from collections.abc import Mapping
from typing import Final

from tams_gateway_vast.tables.columns import (
    Column,
    Form,
    Table,
    binary,
    flag,
    number,
    of_field,
    or_else,
    text,
    time,
)

_COMMON: Final = (
    text("id"),
    number("version"),
    binary("body"),
    binary("fields"),
    number("parts"),
)
"""What every table of records begins with."""


def record_table(name: str, *columns: Column) -> Table:
    """Return the table of a kind: the columns that all have, then its own."""
    return Table(name, (*_COMMON, *columns), ("id",))


def _technical(*prefix: str) -> tuple[Column, ...]:
    """Return the columns of the technical part, but those that are fields of flows."""
    essence = (*prefix, "essence_parameters")
    return (
        text("container", *prefix, "container"),
        number("avg_bit_rate", *prefix, "avg_bit_rate"),
        text("segment_duration", *prefix, "segment_duration", form=Form.RATE),
        text("frame_rate", *essence, "frame_rate", form=Form.RATE),
        flag("vfr", *essence, "vfr"),
        text("interlace_mode", *essence, "interlace_mode"),
        text("color_space", *essence, "colorspace"),
        text("transfer_characteristics", *essence, "transfer_characteristic"),
        text("component_type", *essence, "component_type"),
        text("aspect_ratio", *essence, "aspect_ratio", form=Form.RATE),
        number("sample_rate", *essence, "sample_rate"),
        number("channels", *essence, "channels"),
        number("bits_per_sample", *essence, "bit_depth"),
    )


SOURCES: Final = record_table(
    "sources",
    of_field(number("created_ns"), "created"),
    of_field(number("updated_ns"), "updated"),
    of_field(text("label"), "label"),
    of_field(text("format"), "format"),
    of_field(number("flow_count"), "flows"),
    text("description", "description"),
    text("created_by", "created_by"),
    text("updated_by", "updated_by"),
    text("source_collection", "source_collection", form=Form.JSON),
)

FLOWS: Final = record_table(
    "flows",
    text("kind"),
    of_field(number("life"), "life"),
    number("touched_ns"),
    number("first_ns"),
    number("last_ns"),
    number("segment_count"),
    of_field(number("created_ns"), "created"),
    of_field(number("metadata_updated_ns"), "metadata_updated"),
    of_field(text("label"), "label"),
    of_field(text("source_id"), "source_id"),
    of_field(text("format"), "format"),
    of_field(text("codec"), "codec"),
    of_field(text("profile_id"), "profile_id"),
    of_field(text("status"), "status"),
    of_field(number("frame_width"), "frame_width"),
    of_field(number("frame_height"), "frame_height"),
    of_field(flag("init_segments"), "init_segments"),
    text("description", "description"),
    text("created_by", "created_by"),
    text("updated_by", "updated_by"),
    flag("read_only", "read_only"),
    text("metadata_version", "metadata_version"),
    number("generation", "generation"),
    number("max_bit_rate", "max_bit_rate"),
    *_technical(),
    text("flow_collection", "flow_collection", form=Form.JSON),
)
"""Records of every kind with segments, so that those who add some find it by its id alone."""

OBJECTS: Final = record_table(
    "objects",
    of_field(number("expires_ns"), "expires"),
    of_field(number("due_ns"), "due"),
    of_field(number("size"), "size"),
    or_else(text("state", "state"), "allocated"),
    text("content_type", "content_type"),
    text("flow_id", "flow_id"),
    or_else(flag("init", "init"), False),
    or_else(number("uses", "uses"), 0),
    text("timerange", "timerange"),
    number("key_frame_count", "key_frame_count"),
    text("init_object_id", "init_object_id"),
    text("sha256", "sha256"),
)

PROFILES: Final = record_table(
    "profiles",
    of_field(number("created_ns"), "created"),
    of_field(text("format"), "format"),
    of_field(text("codec"), "codec"),
    of_field(text("label"), "label"),
    text("description", "description"),
    text("created_by", "created_by"),
    number("frame_width", "flow_metadata", "essence_parameters", "frame_width"),
    number("frame_height", "flow_metadata", "essence_parameters", "frame_height"),
    *_technical("flow_metadata"),
)

WEBHOOKS: Final = record_table(
    "webhooks",
    of_field(text("url"), "url"),
    of_field(text("owner_id"), "owner"),
    of_field(text("status"), "status"),
    text("api_key_name", "api_key_name"),
    text("events", "events", form=Form.JSON),
    text("flow_ids", "flow_ids", form=Form.JSON),
    text("source_ids", "source_ids", form=Form.JSON),
    text("flow_collected_by_ids", "flow_collected_by_ids", form=Form.JSON),
    text("source_collected_by_ids", "source_collected_by_ids", form=Form.JSON),
    text("accept_get_urls", "accept_get_urls", form=Form.JSON),
    text("accept_storage_ids", "accept_storage_ids", form=Form.JSON),
    flag("presigned", "presigned"),
    flag("verbose_storage", "verbose_storage"),
    number("generation", "generation"),
    text("error", "error", "summary"),
    time("error_ns", "error", "time"),
)

DELETION_REQUESTS: Final = record_table(
    "deletion_requests",
    of_field(number("created_ns"), "created"),
    of_field(number("expiry_ns"), "expiry"),
    of_field(number("due_ns"), "due"),
    of_field(text("flow_id"), "flow_id"),
    of_field(number("life"), "life"),
    text("status", "document", "status"),
    text("timerange", "document", "timerange_to_delete"),
    text("timerange_remaining", "document", "timerange_remaining"),
    flag("delete_flow", "document", "delete_flow"),
    text("created_by", "document", "created_by"),
    time("updated_ns", "document", "updated"),
    text("error", "document", "error", "summary"),
)

USERS: Final = record_table(
    "users",
    text("username", "name"),
    text("scopes", "scopes", form=Form.JSON),
    text("groups", "groups", form=Form.JSON),
    flag("suspended", "suspended"),
    number("created_ns", "created", form=Form.SECONDS),
    number("failed_login_attempts", "lock", "failures"),
    number("locked_until_ns", "lock", "until", form=Form.SECONDS),
)

API_TOKENS: Final = record_table(
    "api_tokens",
    text("token_name", "name"),
    text("scopes", "scopes", form=Form.JSON),
    text("groups", "groups", form=Form.JSON),
    text("allowed_ips", "networks", form=Form.JSON),
    number("created_ns", "created", form=Form.SECONDS),
    number("expires_ns", "expires", form=Form.SECONDS),
    number("last_used_ns", "used", form=Form.SECONDS),
)

REFRESH_TOKENS: Final = record_table(
    "refresh_tokens",
    of_field(number("expires"), "expires"),
    number("expires_ns", "expires", form=Form.SECONDS),
    text("username", "user"),
    text("client", "client"),
    text("family", "family"),
    text("scopes", "scopes", form=Form.JSON),
    flag("used", "used"),
)

AUTH_LOGS: Final = record_table(
    "auth_logs",
    of_field(number("created_ns"), "at"),
    of_field(text("event_type"), "action"),
    of_field(text("who"), "who"),
    of_field(text("request_id"), "request_id"),
    text("event_details", "detail"),
    text("ip_address", "peer"),
)

AUDIT: Final = record_table(
    "audit",
    of_field(number("created_ns"), "at"),
    of_field(text("who"), "who"),
    of_field(text("resource"), "resource"),
    of_field(text("request_id"), "request_id"),
    text("operation", "operation"),
    text("changed", "changed", form=Form.JSON),
    text("result", "result"),
)

RECORDS: Final = Table("records", (text("kind"), *_COMMON), ("kind", "id"))
"""Records of the kinds that have no table."""

KINDS: Final[Mapping[str, Table]] = {
    "source": SOURCES,
    "flow": FLOWS,
    "object": OBJECTS,
    "profile": PROFILES,
    "webhook": WEBHOOKS,
    "deletion_request": DELETION_REQUESTS,
    "users": USERS,
    "api_tokens": API_TOKENS,
    "refresh_tokens": REFRESH_TOKENS,
    "auth_logs": AUTH_LOGS,
    "audit": AUDIT,
}
"""The kinds that have a table, by name."""
