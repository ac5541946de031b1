"""Paths have one spelling, in which encoded slashes belong to their part (R-GEN-06)."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams_gateway.domain.errors import NotFound
from tams_gateway.http import paths

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("target", "root", "expected"),
    [
        ("/flows?a=b", "", "/flows"),
        ("/objects/a%2Fb", "", "/objects/a%2Fb"),
        ("/objects/a%2fb", "", "/objects/a%2Fb"),
        ("/%66lows", "", "/flows"),
        ("/objects/a:b", "", "/objects/a%3Ab"),
        ("/objects/%C3%BC", "", "/objects/%C3%BC"),
        ("/objects/\xc3\xbc", "", "/objects/%C3%BC"),
        ("/tams/v8.2/flows", "/tams/v8.2", "/flows"),
        ("/tams", "/tams", "/"),
        ("http://example.com/flows?x", "", "/flows"),
        ("http://example.com", "", "/"),
    ],
)
def test_a_target_becomes_its_one_spelling(target: str, root: str, expected: str) -> None:
    assert expected == paths.routed(target, root)


@pytest.mark.parametrize("target", ["/objects/%", "/objects/%z1", "/objects/%ff", "//flows"])
def test_malformed_targets_are_not_found(target: str) -> None:
    with pytest.raises(NotFound):
        paths.routed(target)


@given(ids)
def test_any_text_comes_through_a_raw_path(text: str) -> None:
    path = paths.routed(f"/objects/{quote(text, safe='')}/instances")
    _, objects, id_, instances = path.split("/")

    assert ("objects", "instances") == (objects, instances)
    assert {"id": text} == paths.parameters({"id": id_})


@given(ids.filter(lambda text: not text.endswith("/instances")))
def test_any_text_comes_through_a_decoded_path_where_the_template_tells_it(text: str) -> None:
    """But an object id that ends in `/instances`: that is the route of this name."""
    decoded = text.encode().decode("latin-1")
    for before, after in (("/objects/", ""), ("/objects/", "/instances"), ("/flows/f/tags/", "")):
        path = paths.encoded(f"{before}{decoded}{after}")
        id_ = path.removeprefix(before).removesuffix(after)

        assert "/" not in id_
        assert {"id": text} == paths.parameters({"id": id_})


def test_a_tag_of_a_decoded_path_may_be_named_instances() -> None:
    assert "/flows/f/tags/a%2Finstances" == paths.encoded("/flows/f/tags/a/instances")
    assert "/sources/s/tags/instances" == paths.encoded("/sources/s/tags/instances")


@pytest.mark.parametrize("path", ["/", "/flows", "/flows/f/segments", "/media/m/2026/a.ts"])
def test_plain_paths_are_the_same_either_way(path: str) -> None:
    assert path == paths.routed(path) == paths.encoded(path)


def test_decoded_paths_that_are_not_utf_8_are_not_found() -> None:
    with pytest.raises(NotFound):
        paths.encoded("/objects/\xff")
