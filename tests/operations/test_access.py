"""Who may see and change what, by `auth_classes` (R-AUTH-06 to -10)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tams_gateway.testing import samples
from tams_gateway.testing.client import Answer
from tams_gateway.testing.samples import UNKNOWN, new_id
from tests.operations.access import Principals, guarded

NEWS = {"auth_classes": ["news"]}


@pytest.fixture(params=["wsgi-memory", "asgi-sqlite"])
def principals(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Principals]:
    with guarded(request.param, tmp_path, monkeypatch) as principals:
        yield principals


def summary(answer: Answer, *ids: str) -> str:
    """Return the text of an error, with the ids in it as `UNKNOWN`."""
    text: str = answer.json["summary"]
    for id_ in ids:
        text = text.replace(id_, UNKNOWN)
    return text


@pytest.mark.parametrize(
    ("tags", "reads", "writes"),
    [
        ({"auth_classes": ["news"]}, {"news", "both"}, {"news", "both"}),
        ({"auth_classes": "sport"}, {"sport", "both"}, {"sport", "both"}),
        ({"auth_classes": ["news", "sport_ro"]}, {"news", "sport", "both"}, {"news", "both"}),
        ({"auth_classes": ["desk"]}, {"news", "both"}, {"news", "both", "clerk"}),
        ({"auth_classes": []}, set(), set()),
        ({"auth_classes": [""]}, set(), set()),
        ({}, set(), set()),
    ],
)
def test_a_class_gives_what_its_name_or_its_rule_says(
    principals: Principals, tags: dict[str, Any], reads: set[str], writes: set[str]
) -> None:
    """R-AUTH-06: nothing at all is 404, too little is 403; what has no class is for admins."""
    flow_id = principals.ingest("root").flow(tags=tags)
    path = f"/flows/{flow_id}"
    for name in ("nobody", "news", "sport", "both", "clerk", "root"):
        client = principals[name]
        read, written = client.get(path), client.put(f"{path}/label", json="new")
        known = name == "root" or name in reads | writes
        assert read.status == (200 if name in {*reads, "root"} else 403 if known else 404)
        assert written.status == (204 if name in {*writes, "root"} else 403 if known else 404)
        assert [one["id"] for one in client.listed("/flows")] == (
            [flow_id] if name in {*reads, "root"} else []
        )
        if not known:
            absent = client.get(f"/flows/{UNKNOWN}")
            assert summary(read, flow_id) == summary(absent)


def test_who_makes_a_flow_names_a_class_of_its_own(principals: Principals) -> None:
    """R-AUTH-07: where there is no source yet, that is the permission to create."""
    for classes in (None, [], ["sport"], "news_ro"):
        document = samples.flow(tags=None if classes is None else {"auth_classes": classes})
        answer = principals["news"].put(f"/flows/{document['id']}", json=document)
        assert answer.status == 403, classes
        assert "auth_classes" in answer.json["summary"]
        assert principals["root"].get(f"/sources/{document['source_id']}").status == 404
    source_id = new_id()
    principals.ingest("news").flow(source_id=source_id, tags=NEWS)
    # R-AUTH-09: the source inherits the classes.
    assert principals["news"].get(f"/sources/{source_id}").json["tags"] == NEWS
    assert principals["sport"].get(f"/sources/{source_id}").status == 404


def test_a_flow_of_an_existing_source_needs_write_on_it(principals: Principals) -> None:
    """R-AUTH-07."""
    shared, hidden = new_id(), new_id()
    root = principals.ingest("root")
    root.flow(source_id=shared, tags={"auth_classes": ["sport_ro"]})
    root.flow(source_id=hidden, tags=NEWS)
    for source_id, status in ((shared, 403), (hidden, 404)):
        document = samples.flow(source_id=source_id, tags={"auth_classes": ["sport"]})
        answer = principals["sport"].put(f"/flows/{document['id']}", json=document)
        assert answer.status == status
        assert source_id in answer.json["summary"]
    principals.ingest("news").flow(source_id=hidden, tags=NEWS)
