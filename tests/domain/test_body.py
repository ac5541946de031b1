"""Request bodies: each fault named with its place and reason."""

import msgspec
import pytest

from tams_gateway.domain.body import Body, Natural
from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.identifiers import Uuid
from tams_gateway.domain.tags import Tags


class _Inner(msgspec.Struct):
    ids: list[Uuid] = []


class _Shape(msgspec.Struct):
    count: Natural
    inner: _Inner | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET


_BODY = Body(_Shape)


@pytest.mark.parametrize(
    ("sent", "summary"),
    [
        (b"[]", "body: expected `object`, got `array`"),
        (b"{}", "body: object missing required field `count`"),
        (b'{"count":"x"}', "/count: expected `int`, got `str`"),
        (b'{"count":true}', "/count: expected `int`, got `bool`"),
        (b'{"count":-1}', "/count: expected `int` >= 0"),
        (b'{"count":1,"inner":{"ids":["x"]}}', "/inner/ids/0: expected a UUID in lower case"),
        (b'{"count":1,"tags":{"a":[1]}}', "/tags/*/0: expected `str`, got `int`"),
        (b'{"count":1,"tags":null}', "/tags: expected `object`, got `null`"),
        (b'{"count":', "body: this is no JSON document"),
        (b"", "body: this is no JSON document"),
        (b'{"count":1,"tags":{"a":"\xff"}}', "body: the JSON is not UTF-8"),
        (b'{"count":1,"x":' + b"[" * 100_000, "body: the JSON is nested too deeply"),
        (b'{"count":' + b"9" * 30 + b"}", "/count: expected `int` <= 9223372036854775807"),
        (b'{"count":1e400}', "/count: number out of range"),
    ],
)
def test_a_fault_is_told_with_its_place_and_reason(sent: bytes, summary: str) -> None:
    with pytest.raises(Invalid) as refused:
        _BODY.decode(sent)

    assert refused.value.summary.startswith(summary)


def test_an_integral_float_is_an_integer() -> None:
    """R-FPR-05: `5.0` is an integer in JSON Schema, `5.5` is not."""
    assert _BODY.decode(b'{"count":5.0}').count == 5
    with pytest.raises(Invalid):
        _BODY.decode(b'{"count":5.5}')


def test_unknown_members_are_dropped() -> None:
    """R-GEN-08."""
    assert _Shape(1) == _BODY.decode(b'{"count":1,"else":[{"deep":null}]}')
