"""GET /flows/{flowId}/segments (R-SEG-01 to -09)."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment as external
from tests.deployments import by_form

UNKNOWN = "11111111-1111-4111-8111-111111111111"


def ten_seconds(ingest: Ingest) -> str:
    """Return a flow with ten segments of a second each."""
    flow_id = ingest.flow()
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(10)])
    return flow_id


def test_an_unknown_flow_has_no_segments(client: Client) -> None:
    """R-SEG-01: 200 and an empty list, not 404."""
    answer = client.get(f"/flows/{UNKNOWN}/segments")

    assert answer.status == 200
    assert answer.json == []
    assert answer.headers["x-paging-timerange"] == "()"
    assert answer.headers["x-paging-count"] == "0"


@by_form
@pytest.mark.parametrize(
    "flow_id",
    [
        "no-uuid",
        "AAAAAAAA-1111-4111-8111-111111111111",
        "11111111-1111-7111-8111-111111111111",
        "00000000-0000-0000-0000-000000000000",
        "1111111111114111811111111111111a",
        "11111111-1111-4111-8111-111111111111%0A",
    ],
)
def test_a_malformed_flow_id_is_not_found(client: Client, flow_id: str) -> None:
    """R-SEG-01, R-GEN-04, R-GEN-05, R-TIME-12."""
    assert client.get(f"/flows/{flow_id}/segments").status == 404
    assert client.head(f"/flows/{flow_id}/segments").status == 404


@pytest.mark.parametrize(
    ("timerange", "expected"),
    [
        ("_", range(10)),
        ("[3:0_5:0)", (3, 4)),
        ("[3:0_5:0]", (3, 4, 5)),
        ("(3:0_5:0)", (3, 4)),
        ("[3:500000000_3:500000001)", (3,)),
        ("[3:0]", (3,)),
        ("3:0", (3,)),
        ("[2:999999999]", (2,)),
        ("(2:999999999_3:0]", (3,)),
        ("_2:0)", (0, 1)),
        ("_2:0", (0, 1, 2)),
        ("[8:0_", (8, 9)),
        ("8:0_", (8, 9)),
        ("(8:999999999_", (9,)),
        ("[-5:0_1:0)", (0,)),
        ("[0:0_99999999999:0)", range(10)),
        ("[99999999999:0_", ()),
        ("[10:0_20:0)", ()),
        ("[_]", range(10)),
        ("()", ()),
        ("", ()),
        ("[5:0_4:0)", ()),
        ("[5:0_5:0)", ()),
        ("(5:0)", ()),
        ("(5:0_5:0]", ()),
        ("(5:0_5:1)", ()),
    ],
)
def test_a_timerange_selects_what_overlaps_it(
    ingest: Ingest, timerange: str, expected: range
) -> None:
    """R-SEG-02, R-TIME-03 to -11: wholly or partly, marks count."""
    flow_id = ten_seconds(ingest)

    found = ingest.timeranges(flow_id, {"timerange": timerange})

    assert found == [seconds(at, at + 1) for at in expected]


@by_form
@pytest.mark.parametrize("timerange", ["[1:0-2:0)", "1", "[1.5:0_2:0)", "[01:0_2:0)", "_\n", "[)x"])
def test_a_malformed_timerange_is_refused(client: Client, timerange: str) -> None:
    """R-PAGE-19, R-TIME-12: also of a flow that is not there."""
    query = {"timerange": timerange}

    assert client.get(f"/flows/{UNKNOWN}/segments", query=query).status == 400
    assert client.head(f"/flows/{UNKNOWN}/segments", query=query).status == 400


def test_segments_come_in_the_order_of_time(ingest: Ingest) -> None:
    """R-SEG-03, B26: whatever the order in which they were added, and negative times first."""
    flow_id = ingest.flow()
    for timerange in ("[5:0_6:0)", "[-3:0_-2:0)", "[10:0_11:0)", "[0:5_0:6)", "[-1:5_0:5)"):
        ingest.add(flow_id, timerange)

    expected = ["[-3:0_-2:0)", "[-1:5_0:5)", "[0:5_0:6)", "[5:0_6:0)", "[10:0_11:0)"]
    assert ingest.timeranges(flow_id) == expected
    assert ingest.timeranges(flow_id, {"reverse_order": "false"}) == expected
    assert ingest.timeranges(flow_id, {"reverse_order": "true"}) == expected[::-1]


def test_an_instant_follows_the_segment_that_ends_before_it(ingest: Ingest) -> None:
    """R-SEG-03, R-TIME-10: `[1:0_2:0)` stands before `[2:0]`, and both after it."""
    flow_id = ingest.flow()
    for timerange in ("(2:0_3:0)", "[2:0]", "[1:0_2:0)"):
        segment = external(timerange.replace("(2:0_", "[2:1_"))
        ingest.add_many(flow_id, [segment])

    assert ingest.timeranges(flow_id) == ["[1:0_2:0)", "[2:0]", "[2:1_3:0)"]
    assert ingest.timeranges(flow_id, {"timerange": "[1:0_2:0)"}) == ["[1:0_2:0)"]
    assert ingest.timeranges(flow_id, {"timerange": "[2:0]"}) == ["[2:0]"]
    assert ingest.timeranges(flow_id, {"timerange": "(2:0_"}) == ["[2:1_3:0)"]


def test_an_inclusive_end_is_given_back_as_it_came(ingest: Ingest) -> None:
    """R-SEG-17: `[0:0_10:0]` holds 10:0, and keeps its mark."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_10:0]")

    assert ingest.timeranges(flow_id, {"timerange": "[10:0_20:0)"}) == ["[0:0_10:0]"]
    assert ingest.timeranges(flow_id, {"timerange": "(10:0_20:0)"}) == []


def test_object_id_and_timerange_both_have_to_match(ingest: Ingest) -> None:
    """R-SEG-04, R-PAGE-13."""
    flow_id = ingest.flow()
    object_id = ingest.add(flow_id, "[0:0_2:0)")
    ingest.register(flow_id, object_id, "[10:0_12:0)", ts_offset="10:0")
    ingest.add(flow_id, "[2:0_3:0)")

    by_object = ingest.timeranges(flow_id, {"object_id": object_id})
    by_both = ingest.timeranges(flow_id, {"object_id": object_id, "timerange": "[1:0_3:0)"})

    assert by_object == ["[0:0_2:0)", "[10:0_12:0)"]
    assert by_both == ["[0:0_2:0)"]
    assert ingest.segments(flow_id, {"object_id": "unknown"}) == []
    assert ingest.segments(flow_id, {"object_id": ""}) == []


def test_a_segment_shows_what_was_stored(ingest: Ingest) -> None:
    """R-SEG-05, R-SEG-19, B31: value by value, nothing invented."""
    flow_id = ingest.flow()
    members: dict[str, Any] = {
        "ts_offset": "-1:500000000",
        "last_duration": "0:40000000",
        "sample_offset": 0,
        "sample_count": 25,
        "key_frame_count": 3,
    }
    object_id = ingest.add(flow_id, "[0:0_1:0)", **members)
    plain_id = ingest.add(flow_id, "[1:0_2:0)")

    first, second = ingest.segments(flow_id)

    urls = [{"label": "elsewhere", "url": f"https://media.example/{object_id}.ts"}]
    assert first == {
        "object_id": object_id,
        "timerange": "[0:0_1:0)",
        "get_urls": urls,
        **members,
    }
    assert set(second) == {"object_id", "timerange", "get_urls"}
    assert second["object_id"] == plain_id


@pytest.mark.parametrize("asked", [None, "false", "true"])
def test_the_objects_timerange_is_shown_on_request(ingest: Ingest, asked: str | None) -> None:
    """R-SEG-06, R-SEG-24: then always, also where it equals the segment's."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)")
    ingest.add(flow_id, "[1:0_2:0]", ts_offset="1:0")
    query = {} if asked is None else {"include_object_timerange": asked}

    shown = [segment.get("object_timerange") for segment in ingest.segments(flow_id, query)]

    assert shown == (["[0:0_1:0)", "[0:0_1:0]"] if asked == "true" else [None, None])


@by_form
@pytest.mark.parametrize(
    "name", ["include_object_timerange", "reverse_order", "verbose_storage", "presigned"]
)
@pytest.mark.parametrize("value", ["", "1", "yes", "TRUE"])
def test_booleans_are_true_or_false(client: Client, name: str, value: str) -> None:
    """R-PAGE-19, R-PAGE-20: a blank one is not true."""
    assert client.get(f"/flows/{UNKNOWN}/segments", query={name: value}).status == 400


def test_presigned_urls_come_before_plain_ones(ingest: Ingest) -> None:
    """R-SEG-07, B7, B8: a player can send no header."""
    flow_id = ingest.flow()
    ingest.register(flow_id, ingest.allocated(flow_id), "[0:0_1:0)")

    urls = ingest.segments(flow_id)[0]["get_urls"]

    assert [url.get("presigned", False) for url in urls] == [True, False]
    assert len({url["label"] for url in urls}) == 1


def test_pages_of_segments_go_on_where_the_last_one_ended(client: Client, ingest: Ingest) -> None:
    """R-PAGE-03, -04, -07, -08, B13: by key, in both directions, under inserts."""
    flow_id = ten_seconds(ingest)
    expected = [seconds(at, at + 1) for at in range(1, 10)]

    for reverse in ("false", "true"):
        query = {"timerange": "[1:0_", "limit": "4", "reverse_order": reverse}
        met, sizes = [], []
        while True:
            answer = client.get(f"/flows/{flow_id}/segments", query=query)
            page = [segment["timerange"] for segment in answer.json]
            assert answer.headers["x-paging-count"] == str(len(page))
            assert answer.headers["x-paging-limit"] == "4"
            assert answer.headers["x-paging-reverse-order"] == reverse
            first, last = (page[-1], page[0]) if reverse == "true" else (page[0], page[-1])
            span = f"{first.partition('_')[0]}_{last.partition('_')[2]}"
            assert answer.headers["x-paging-timerange"] == span
            met += page
            sizes.append(len(page))
            if "x-paging-nextkey" not in answer.headers:
                assert "link" not in answer.headers
                break
            assert 'rel="next"' in answer.headers["link"]
            query["page"] = answer.headers["x-paging-nextkey"]
        assert met == (expected[::-1] if reverse == "true" else expected)
        assert sizes == [4, 4, 1]


@pytest.mark.parametrize("limit", ["1001", "99999999999999999999"])
def test_too_high_a_limit_is_lowered(client: Client, ingest: Ingest, limit: str) -> None:
    """R-PAGE-01, B14: and the value that was used is told."""
    flow_id = ten_seconds(ingest)

    answer = client.get(f"/flows/{flow_id}/segments", query={"limit": limit})

    assert answer.status == 200
    assert len(answer.json) == 10
    assert answer.headers["x-paging-limit"] == "1000"


def test_a_full_last_page_has_no_next(client: Client, ingest: Ingest) -> None:
    """R-PAGE-03, R-PAGE-09: no empty page follows."""
    flow_id = ten_seconds(ingest)

    answer = client.get(f"/flows/{flow_id}/segments", query={"limit": "10"})

    assert len(answer.json) == 10
    assert "link" not in answer.headers


def test_inserts_between_pages_neither_repeat_nor_drop_a_segment(
    client: Client, ingest: Ingest
) -> None:
    """The token carries the key of the last item."""
    flow_id = ingest.flow()
    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(0, 20, 2)])
    first = client.get(f"/flows/{flow_id}/segments", query={"limit": "5"})

    ingest.add_many(flow_id, [external(seconds(at, at + 1)) for at in range(1, 20, 2)])
    query = {"limit": "100", "page": first.headers["x-paging-nextkey"]}
    second = client.get(f"/flows/{flow_id}/segments", query=query)

    assert [segment["timerange"] for segment in second.json] == [
        seconds(at, at + 1) for at in range(9, 20)
    ]


def test_the_derived_timeranges_keep_the_marks(client: Client, ingest: Ingest) -> None:
    """`[0:0_60:0]` never turns into `[0:0_60:1)`; B15, R-PAGE-08."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_30:0)")
    ingest.add(flow_id, "[30:0_60:0]")

    paging = client.get(f"/flows/{flow_id}/segments").headers["x-paging-timerange"]
    document = ingest.document(flow_id, {"include_timerange": "true"})
    clipped = {"include_timerange": "true", "timerange": "(10:0_60:0]"}

    assert paging == "[0:0_60:0]"
    assert document["timerange"] == "[0:0_60:0]"
    assert ingest.document(flow_id, clipped)["timerange"] == "(10:0_60:0]"


def test_an_instant_has_both_bounds_in_what_is_derived(client: Client, ingest: Ingest) -> None:
    """R-TIME-05, B15: `[2:0]` as a segment, `[2:0_2:0]` as a flow's timerange."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "2:0")

    answer = client.get(f"/flows/{flow_id}/segments")

    assert answer.json[0]["timerange"] == "[2:0]"
    assert answer.headers["x-paging-timerange"] == "[2:0_2:0]"
    document = ingest.document(flow_id, {"include_timerange": "true"})
    assert document["timerange"] == "[2:0_2:0]"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("0:0_1:0", "[0:0_1:0]"),
        ("[0:0_1:0", "[0:0_1:0]"),
        ("0:0_1:0)", "[0:0_1:0)"),
        ("[2:0_2:0]", "[2:0]"),
        ("[-0:0_1:0)", "[0:0_1:0)"),
        ("[-1:500000000_0:0)", "[-1:500000000_0:0)"),
        ("[1700000000:5_1700000000:6)", "[1700000000:5_1700000000:6)"),
    ],
)
def test_segment_timeranges_are_canonical(ingest: Ingest, sent: str, shown: str) -> None:
    """R-TIME-01, -05, -08, B31: both marks are shown, a missing one is inclusive."""
    flow_id = ingest.flow()
    ingest.add(flow_id, sent)

    assert ingest.timeranges(flow_id) == [shown]


def test_a_gap_is_no_overlap(client: Client, ingest: Ingest) -> None:
    """R-FLW-18, R-FLW-19, G-07, G-08."""
    flow_id = ingest.flow()
    ingest.add(flow_id, "[0:0_1:0)")
    ingest.add(flow_id, "[5:0_6:0)")
    inside_gap = {"include_timerange": "true", "timerange": "[2:0_4:0)"}
    over_gap = {"include_timerange": "true", "timerange": "[0:5_5:5)"}

    assert ingest.timeranges(flow_id, {"timerange": "[2:0_4:0)"}) == []
    assert ingest.document(flow_id, inside_gap)["timerange"] == "()"
    assert ingest.document(flow_id, over_gap)["timerange"] == "[0:5_5:5)"
    assert ingest.document(flow_id, {"include_timerange": "true"})["timerange"] == "[0:0_6:0)"
