"""Where kinds lie in our tables, and what their typed columns hold."""

import json
from collections.abc import Mapping

import msgspec
import pytest
from tams_gateway_auth.refresh_tokens import REFRESH_TOKENS, RefreshToken
from tams_gateway_auth.tokens import API_TOKENS, ApiToken
from tams_gateway_auth.users import USERS, Lock, User
from tams_gateway_vast.tables.kind_tables import FLOWS, KINDS, RECORDS
from tams_gateway_vast.tables.layout import (
    EVENT_LAYOUT,
    FIELD_VALUES,
    FLOW_COLLECTIONS,
    SEGMENT_LAYOUT,
    SOURCE_COLLECTIONS,
    TAGS,
    Layouts,
    filled,
)

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.domain import technical
from tams_gateway.domain.deletion_request import DeletionRequest, DeletionTask, Fault
from tams_gateway.domain.flow import Flow
from tams_gateway.domain.media_object import MediaObject
from tams_gateway.domain.profile import Profile
from tams_gateway.domain.source import Source
from tams_gateway.operations.audit import Entry
from tams_gateway.operations.kinds import ALL, DELETION_REQUEST, FLOW, OBJECT, PROFILE, SOURCE
from tams_gateway.storage.records import FieldType, Kind
from tams_gateway.storage.webhooks import WEBHOOK, StoredWebhook, WebhookError

LAYOUTS = Layouts()


CREDENTIALS = (USERS, API_TOKENS, REFRESH_TOKENS)
TECHNICAL = (technical.Video, technical.Audio, technical.Image, technical.Data, technical.Multi)
ESSENCE = (
    technical.VideoEssence,
    technical.AudioEssence,
    technical.ImageEssence,
    technical.DataEssence,
    technical.MultiEssence,
)


@pytest.mark.parametrize("kind", [*ALL, WEBHOOK, *CREDENTIALS], ids=lambda kind: kind.name)
def test_every_field_of_a_kind_with_a_table_has_its_place(kind: Kind) -> None:
    layout = LAYOUTS.layout_of(kind)
    if layout.table is RECORDS:
        assert layout.kind_name == kind.name
        assert layout.columns_by_field == {}
        return
    for field, type_ in kind.fields.items():
        if type_ is FieldType.SET:
            assert layout.set_table(field) is not None, field
        else:
            assert field in layout.columns_by_field, field


BODIES: Mapping[str, Mapping[tuple[str, ...], tuple[type[msgspec.Struct], ...]]] = {
    "source": {(): (Source,)},
    "flow": {(): (Flow,), ("essence_parameters",): ESSENCE},
    "object": {(): (MediaObject,)},
    "profile": {
        (): (Profile,),
        ("flow_metadata",): TECHNICAL,
        ("flow_metadata", "essence_parameters"): ESSENCE,
    },
    "webhook": {(): (StoredWebhook,), ("error",): (WebhookError,)},
    "deletion_request": {
        (): (DeletionTask,),
        ("document",): (DeletionRequest,),
        ("document", "error"): (Fault,),
    },
    "users": {(): (User,), ("lock",): (Lock,)},
    "api_tokens": {(): (ApiToken,)},
    "refresh_tokens": {(): (RefreshToken,)},
    "auth_logs": {(): (AuthEntry,)},
    "audit": {(): (Entry,)},
}
"""What the bodies of records, and their members, are made of."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_that_a_column_is_filled_from_is_one_of_the_body(kind: str) -> None:
    for column in KINDS[kind].columns:
        if column.path:
            made_of = BODIES[kind][column.path[:-1]]
            assert any(column.path[-1] in one.__struct_fields__ for one in made_of), column.name


def test_all_kinds_with_segments_lie_in_flows() -> None:
    other = Kind("kit_flow", {"life": FieldType.INT, "label": FieldType.INT}, segments=True)
    layout = LAYOUTS.layout_of(other)

    assert layout.table is FLOWS
    assert layout.kind_name == "kit_flow"
    # A label that is a number does not fit the column of labels: it is in `fields` alone.
    assert layout.columns_by_field == {"life": "life"}
    assert filled(layout, b"{}", {"life": 7, "label": 5})["label"] is None


def test_a_kind_may_declare_more_fields_later() -> None:
    before = LAYOUTS.layout_of(Kind("object", {}))
    after = LAYOUTS.layout_of(OBJECT)

    assert before.columns_by_field == {}
    assert after.columns_by_field["size"] == "size"


def test_sets_lie_one_row_a_value() -> None:
    flow, source = LAYOUTS.layout_of(FLOW), LAYOUTS.layout_of(SOURCE)

    tags = flow.set_table("tag.genre")
    assert tags is not None
    assert tags.table is TAGS
    assert tags.name("tag.genre") == "genre"
    collects = flow.set_table("collects")
    assert collects is not None
    assert (collects.table, collects.id_column) == (FLOW_COLLECTIONS, "collection_id")
    collected = source.set_table("collected_by")
    assert collected is not None
    assert (collected.table, collected.id_column) == (SOURCE_COLLECTIONS, "source_id")
    classes = flow.set_table("auth_classes")
    assert classes is not None
    assert classes.table is FIELD_VALUES
    assert flow.set_table("label") is None
    assert [one.table.name for one in flow.set_tables()] == [
        "tags",
        "field_values",
        "flow_collections",
    ]
    assert not list(LAYOUTS.layout_of(Kind("lease", {"s": FieldType.SET})).set_tables())


def test_a_flow_fills_its_columns() -> None:
    body = {
        "id": "f",
        "source_id": "s",
        "description": "camera 1",
        "read_only": True,
        "generation": 0,
        "container": "video/mp2t",
        "segment_duration": {"numerator": 2},
        "essence_parameters": {
            "frame_width": 1920,
            "frame_rate": {"numerator": 30000, "denominator": 1001},
            "colorspace": "BT709",
            "bit_depth": 10,
        },
        "flow_collection": [{"id": "m", "role": "video"}],
    }
    fields = {"created": 5, "source_id": "s", "frame_width": 1920, "init_segments": False}
    row = filled(LAYOUTS.layout_of(FLOW), json.dumps(body).encode(), fields)

    assert {name: value for name, value in row.items() if value is not None} == {
        "created_ns": 5,
        "source_id": "s",
        "frame_width": 1920,
        "init_segments": False,
        "description": "camera 1",
        "read_only": True,
        "generation": 0,
        "container": "video/mp2t",
        "segment_duration": "2",
        "frame_rate": "30000/1001",
        "color_space": "BT709",
        "bits_per_sample": 10,
        "flow_collection": '[{"id":"m","role":"video"}]',
    }
    assert not {"id", "version", "body", "fields", "parts", "kind", "touched_ns"} & set(row)


def test_what_bodies_leave_out_is_filled_where_it_means_something() -> None:
    layout = LAYOUTS.layout_of(OBJECT)

    row = filled(layout, b'{"id":"o","uses":2}', {})
    assert (row["state"], row["init"], row["uses"]) == ("allocated", False, 2)
    row = filled(layout, b"[]", {})
    assert (row["state"], row["init"], row["uses"]) == (None, None, None)


def test_a_column_of_a_field_is_null_where_the_field_is_unset() -> None:
    row = filled(LAYOUTS.layout_of(FLOW), b'{"label":"x","frame_width":1}', {})

    assert row["label"] is None


def test_nested_members_and_times_of_a_body_fill_columns() -> None:
    task = {
        "document": {
            "status": "done",
            "timerange_to_delete": "_",
            "updated": "1970-01-01T00:00:02Z",
        }
    }
    row = filled(LAYOUTS.layout_of(DELETION_REQUEST), json.dumps(task).encode(), {"created": 1})
    assert (row["status"], row["timerange"], row["updated_ns"]) == ("done", "_", 2_000_000_000)

    lock = {"failures": 3, "until": 1.5}
    user = {"name": "ann", "password": "$argon2id$secret", "created": 0, "lock": lock}
    row = filled(LAYOUTS.layout_of(Kind("users", {})), json.dumps(user).encode(), {})
    assert (row["username"], row["failed_login_attempts"]) == ("ann", 3)
    assert (row["created_ns"], row["locked_until_ns"]) == (None, 1_500_000_000)
    assert "secret" not in repr(row)

    segment = b'{"object_id":"o","timerange":"[0:0_1:0)","sample_count":50,"last_duration":2}'
    row = filled(SEGMENT_LAYOUT, segment, {})
    assert (row["timerange"], row["sample_count"]) == ("[0:0_1:0)", 50)
    assert row["last_duration"] is None

    row = filled(EVENT_LAYOUT, b"", {"flow_id": "f", "auth_classes": frozenset([""])})
    assert row == {"flow_id": "f", "source_id": None}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b'"\\ud800"',
        b"[" * 10_000,
        b'{"flow_metadata":"x","description":1,"created_by":null}',
        b'{"flow_metadata":{"container":{},"avg_bit_rate":99999999999999999999,'
        b'"segment_duration":{"numerator":"1"},"essence_parameters":{"channels":true,"vfr":1}}}',
    ],
    ids=range(7),
)
def test_what_is_of_another_type_gives_null(body: bytes) -> None:
    row = filled(LAYOUTS.layout_of(PROFILE), body, {})

    assert len(row) > 15
    assert set(row.values()) == {None}


def test_json_text_that_would_have_to_be_cut_is_null() -> None:
    collection = [{"id": "m" * 36}] * 3000
    row = filled(
        LAYOUTS.layout_of(SOURCE), json.dumps({"source_collection": collection}).encode(), {}
    )

    assert row["source_collection"] is None


def test_no_table_has_two_columns_of_one_name_or_sorts_by_one_that_it_lacks() -> None:
    for table in LAYOUTS.tables:
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names)), table.name
        assert set(table.sorted_by) <= set(names), table.name
        assert table.schema.names == names
    assert len({table.name for table in LAYOUTS.tables}) == len(LAYOUTS.tables)
