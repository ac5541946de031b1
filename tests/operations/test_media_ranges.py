"""Which bytes a request gets: RFC 9110, and B28 of what deployed clients need."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tams_gateway.domain.errors import RangeNotSatisfiable
from tams_gateway.operations.media_ranges import Slice, is_known, wanted

ETAG = '"abc"'


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("bytes=0-0", Slice(0, 0)),
        ("bytes=0-", Slice(0, 9)),
        ("bytes=2-4", Slice(2, 4)),
        ("bytes=2-400", Slice(2, 9)),
        ("bytes=9-9", Slice(9, 9)),
        ("bytes=-1", Slice(9, 9)),
        ("bytes=-400", Slice(0, 9)),
        ("Bytes=1-2", Slice(1, 2)),
        ("bytes= 1-2", Slice(1, 2)),
        (f"bytes=1-{'9' * 5000}", Slice(1, 9)),
        (f"bytes=-{'9' * 5000}", Slice(0, 9)),
    ],
)
def test_a_range_is_cut_to_the_bytes_that_exist(sent: str, expected: Slice) -> None:
    assert expected == wanted({"range": sent}, ETAG, 10)


@pytest.mark.parametrize(
    "sent", ["", "bytes=", "bytes=-", "bytes=4-2", "bytes=a-b", "items=0-1", "bytes=0-1,3-4", "0-1"]
)
def test_several_ranges_and_malformed_ones_get_everything(sent: str) -> None:
    assert wanted({"range": sent}, ETAG, 10) is None


def test_without_a_range_everything_is_wanted() -> None:
    assert wanted({}, ETAG, 0) is None


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=-1", 0),
        (f"bytes={'9' * 5000}-", 10),
    ],
)
def test_a_range_without_a_byte_is_refused_with_the_size(sent: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        wanted({"range": sent}, ETAG, size)

    assert {"Content-Range": f"bytes */{size}"} == refused.value.headers


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (ETAG, Slice(1, 2)),
        ('"other"', None),
        (f"W/{ETAG}", None),
        ("Wed, 25 Nov 2026 00:00:00 GMT", None),
    ],
)
def test_if_range_needs_the_very_version(condition: str, expected: Slice | None) -> None:
    assert expected == wanted({"range": "bytes=1-2", "if-range": condition}, ETAG, 10)


@settings(deadline=None)
@given(first=st.integers(0, 40), last=st.integers(0, 40), size=st.integers(1, 30))
def test_a_slice_is_what_python_cuts(first: int, last: int, size: int) -> None:
    data = bytes(range(size))
    expected = data[first : last + 1] if first <= last else data
    try:
        part = wanted({"range": f"bytes={first}-{last}"}, ETAG, size)
    except RangeNotSatisfiable:
        assert expected == b""
        return

    got = data if part is None else data[part.first : part.last + 1]
    assert expected == got
    assert part is None or part.size == len(got)


@settings(deadline=None)
@given(st.text())
def test_any_text_as_a_range_is_served_or_refused(text: str) -> None:
    try:
        part = wanted({"range": text}, ETAG, 10)
    except RangeNotSatisfiable:
        return
    assert part is None or 0 <= part.first <= part.last < 10


@pytest.mark.parametrize("sent", [ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*"])
def test_a_client_may_have_the_version_already(sent: str) -> None:
    assert is_known({"if-none-match": sent}, ETAG)


@pytest.mark.parametrize("sent", ["", '"x"', "abc", '"abc', "x, *"])
def test_another_version_is_not_the_one(sent: str) -> None:
    assert not is_known({"if-none-match": sent}, ETAG)
    assert not is_known({}, ETAG)
