"""Filters of /flows and of listings in general (R-PAGE-13 to -21, R-FLW-19 to -22)."""

from typing import Any

import pytest

from tams_gateway.testing.client import Client, quoted
from tams_gateway.testing.samples import TECHNICAL, UNKNOWN, flow, segment
from tests.deployments import by_form


def put(client: Client, kind: str = "video", **members: Any) -> str:
    document = flow(kind, **members)
    answer = client.put(f"/flows/{document['id']}", json=document)
    assert answer.status == 201, answer.body
    return str(document["id"])


def add(client: Client, flow_id: str, *timeranges: str) -> None:
    body = [segment(one) for one in timeranges]
    assert client.post(f"/flows/{flow_id}/segments", json=body).status == 201


def found(client: Client, query: str) -> set[str]:
    """Return the labels of the flows that match, read in small pages."""
    items = client.listed("/flows", query=f"limit=2&{query}")
    labels = [one["label"] for one in items]
    assert len(labels) == len(set(labels))
    return set(labels)


def sized(width: int, height: int, **more: Any) -> dict[str, Any]:
    essence = {"frame_width": width, "frame_height": height, **more}
    return {"essence_parameters": essence}


RATE = {"frame_rate": {"numerator": 25}}


def test_flows_are_found_by_what_they_are(client: Client) -> None:
    """R-FLW-20, R-FLW-21, R-FLW-22, R-PAGE-13, R-PAGE-18: equality, all ANDed."""
    source = UNKNOWN.replace("0000", "1111", 1)
    put(client, label="hd", source_id=source, status="ingesting", **sized(1920, 1080, **RATE))
    put(client, label="sd", codec="video/h265", **sized(720, 576, init_segments=True, **RATE))
    put(client, "image", label="still", **sized(1920, 1080))
    put(client, "audio", label="sound")
    put(client, "data", label="text")
    put(client, "multi", label="whole")
    everything = {"hd", "sd", "still", "sound", "text", "whole"}

    assert found(client, "") == everything
    assert found(client, f"source_id={source}") == {"hd"}
    assert found(client, f"source_id={UNKNOWN}") == set()
    assert found(client, "format=urn:x-nmos:format:video") == {"hd", "sd"}
    assert found(client, "format=urn:x-tam:format:image") == {"still"}
    assert found(client, "format=urn%3Ax-nmos%3Aformat%3Amulti") == {"whole"}
    assert found(client, "codec=video/h264") == {"hd"}
    assert found(client, "codec=application/ttml%2Bxml") == {"text"}
    assert found(client, "status=ingesting") == {"hd"}
    assert found(client, "status=closed_complete") == set()
    assert found(client, "frame_width=1920") == {"hd"}
    assert found(client, "frame_height=576") == {"sd"}
    assert found(client, "frame_width=1920&frame_height=576") == set()
    assert found(client, "init_segments=true") == {"sd"}
    assert found(client, "init_segments=false") == everything - {"sd"}
    assert found(client, "label=hd") == {"hd"}
    assert found(client, "label=HD") == found(client, "label=h") == set()
    assert found(client, "label=") == set()
    assert found(client, "format=urn:x-nmos:format:video&codec=video/h265") == {"sd"}
    assert found(client, "label=hd&status=closed_complete") == set()


def test_an_empty_label_is_a_label(client: Client) -> None:
    """R-PAGE-18."""
    put(client, label="")
    put(client)

    assert len(client.get("/flows?label=").json) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tag.x=1", {"one", "both"}),
        ("tag.x=1,2", {"one", "two", "both"}),
        ("tag.x=1%2C2", {"one", "two", "both"}),
        ("tag.x=2", {"two", "both"}),
        ("tag.x=1&tag.y=a", {"both"}),
        ("tag.x=1,2&tag.y=a,b", {"both", "two"}),
        ("tag.x=12", set()),
        ("tag.X=1", set()),
        ("tag.y=A", set()),
        ("tag.y=a%20b", {"one"}),
        ("tag.y=a+b", {"one"}),
        ("tag.x=", {"empty"}),
        ("tag.x=3,", {"empty"}),
        ("tag_exists.x=true", {"one", "two", "both", "empty", "list"}),
        ("tag_exists.x=false", {"none"}),
        ("tag_exists.x=true&tag.x=1", {"one", "both"}),
        ("tag_exists.x=false&tag.x=1", set()),
        ("tag_exists.z=false", {"one", "two", "both", "empty", "list", "none"}),
        ("tag.d.o/t%2Fs=v", {"none"}),
        ("tag.d.o%2Ft/s=v", {"none"}),
        ("tag_exists.d.o/t/s=true", {"none"}),
        ("tag.%C3%BC=%E2%98%83", {"none"}),
        ("tag.=e", {"none"}),
    ],
)
def test_flows_are_found_by_tag(client: Client, query: str, expected: set[str]) -> None:
    """R-PAGE-13, R-PAGE-14, R-PAGE-15, R-PAGE-16, B5."""
    put(client, label="one", tags={"x": "1", "y": "a b"})
    put(client, label="two", tags={"x": ["2"], "y": "b"})
    put(client, label="both", tags={"x": ["1", "2"], "y": ["a"]})
    put(client, label="empty", tags={"x": ""})
    put(client, label="list", tags={"x": []})
    put(client, label="none", tags={"d.o/t/s": "v", "ü": "☃", "": "e"})

    assert found(client, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_", {"early", "gap", "late", "instant", "none"}),
        ("[_]", {"early", "gap", "late", "instant", "none"}),
        ("()", {"none"}),
        ("", {"none"}),
        ("[0:0_10:0)", {"early", "gap"}),
        ("[10:0_20:0)", set()),
        ("[10:0_20:0]", {"gap", "late"}),
        ("[30:0_40:0)", {"late"}),
        ("(30:0_40:0)", set()),
        ("[50:0]", {"instant"}),
        ("50:0", {"instant"}),
        ("(40:0_50:0)", set()),
        ("(40:0_50:0]", {"instant"}),
        ("_0:0)", set()),
        ("_0:0]", {"early", "gap"}),
        ("25:0_", {"gap", "late", "instant"}),
        ("[0:0_99999999999:0)", {"early", "gap", "late", "instant"}),
        ("[5:0_1:0)", {"none"}),
        ("(5:0)", {"none"}),
        ("[5:0)", {"none"}),
        ("[5:0_5:0)", {"none"}),
    ],
)
def test_flows_are_found_by_time(client: Client, query: str, expected: set[str]) -> None:
    """R-FLW-19, R-TIME-03 to R-TIME-10, G-08, B16: by their segments; a gap does not count."""
    add(client, put(client, label="early"), "[0:0_10:0)")
    add(client, put(client, label="gap"), "[0:0_10:0)", "[20:0_30:0)")
    add(client, put(client, label="late"), "[20:0_30:0]")
    add(client, put(client, label="instant"), "[50:0]")
    put(client, label="none")

    assert found(client, f"timerange={query}") == expected
    assert found(client, f"timerange={quoted(query)}") == expected


def test_time_joins_the_other_filters_before_paging(client: Client) -> None:
    """R-PAGE-09, R-PAGE-13: no page is short, and none is empty."""
    for number in range(12):
        flow_id = put(client, label=f"{number}", tags={"even": str(number % 2 == 0)})
        if number % 3 == 0:
            add(client, flow_id, "[0:0_1:0)")

    pages = list(client.pages("/flows?timerange=[0:0_1:0)&tag.even=True&limit=1"))

    assert [len(page.json) for page in pages] == [1, 1]


@by_form
@pytest.mark.parametrize(
    "query",
    [
        "source_id=x",
        "source_id=",
        f"source_id={UNKNOWN}%0A",
        "profile_id=x",
        "profile_id=",
        "timerange=x",
        "timerange=[0:0_1:0)%0A",
        "timerange=[0.5_1:0)",
        "timerange=[00:0_1:0)",
        "timerange=[0:1000000000_1:0)",
        "format=video",
        "format=urn:x-nmos:format:video%0A",
        "codec=h264",
        "codec=x/y",
        "codec=video/h264;profile=1",
        "status=done",
        "status=",
        "frame_width=x",
        "frame_width=",
        "frame_height=1.5",
        "init_segments=",
        "init_segments=1",
        "init_segments=TRUE",
        "init_segments=yes",
        "collected_by_ids=x",
        f"collected_by_ids={UNKNOWN},",
        "tag_exists.a=",
        "tag_exists.a=1",
        "sort_by=updated",
        "reverse_order=",
        "reverse_order=t",
        "label=%ff",
    ],
)
def test_a_bad_filter_is_refused(client: Client, query: str) -> None:
    """R-PAGE-19, R-PAGE-20, R-PAGE-21, R-GEN-02, R-GEN-05, R-TIME-01, R-TIME-12."""
    assert client.get(f"/flows?{query}").status == 400
    assert client.head(f"/flows?{query}").status == 400


def test_a_loose_codec_is_stored_but_cannot_be_asked_for(client: Client) -> None:
    """R-PAGE-21."""
    flow_id = put(client, codec="x/y")

    assert client.get(f"/flows/{flow_id}").json["codec"] == "x/y"
    assert client.get("/flows?codec=x/y").status == 400
    assert client.get("/flows?codec=x-experimental/y").status == 200


@pytest.mark.parametrize(
    "query", ["_t=1732", "foo", "foo=", "tag=x", "tags.a=b", "&&", "=", "%20=1", "Label=x"]
)
def test_an_unknown_parameter_is_ignored(client: Client, query: str) -> None:
    """R-GEN-09, B12."""
    put(client)

    for path in ("/flows", "/sources", "/service", "/service/storage-backends"):
        answer = client.get(f"{path}?{query}")
        assert answer.status == 200
        assert answer.json == client.get(path).json


def test_a_changed_flow_is_found_by_what_it_is_now(client: Client) -> None:
    """R-PAGE-14, R-FPR-01: filters follow every write."""
    flow_id = put(client, label="a", tags={"x": "1"})
    path = f"/flows/{flow_id}"

    client.put(f"{path}/tags/x", json=["2", "3"])
    assert client.get("/flows?tag.x=1").json == []
    assert len(client.get("/flows?tag.x=3").json) == 1
    client.delete(f"{path}/tags/x")
    assert client.get("/flows?tag.x=3").json == []
    client.put(f"{path}/label", json="b")
    assert client.get("/flows?label=a").json == []
    assert len(client.get("/flows?label=b").json) == 1
    client.delete(f"{path}/label")
    assert client.get("/flows?label=b").json == []
    add(client, flow_id, "[0:0_1:0)")
    assert client.get("/flows?timerange=()").json == []
    client.delete(f"{path}/segments")
    assert len(client.get("/flows?timerange=()").json) == 1


def test_a_filter_is_not_given_twice(client: Client) -> None:
    """R-PAGE-19: two answers to one question are refused."""
    assert client.get("/flows?label=a&label=b").status == 400


def test_technical_parts_of_all_formats_are_listed(client: Client) -> None:
    """R-FLW-07: one listing shows flows of every format."""
    for kind in TECHNICAL:
        put(client, kind)

    formats = {one["format"] for one in client.get("/flows").json}

    assert formats == {TECHNICAL[kind]["format"] for kind in TECHNICAL}
