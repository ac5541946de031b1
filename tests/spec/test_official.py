"""The judge of answers refuses what the official document does not allow."""

import json
from typing import Any

import pytest

from tams_gateway.testing.client import Answer, Headers
from tams_gateway.testing.samples import UNKNOWN, flow
from tests.spec.official import needs_document, official

pytestmark = needs_document

PAGING = {
    "X-Paging-Limit": "100",
    "X-Paging-Count": "1",
    "X-Paging-Reverse-Order": "false",
}
ERROR = {"type": "x", "summary": "s", "message": "s", "time": "2020-01-01T00:00:00Z"}


def answer(status: int, document: Any, **headers: str) -> Answer:
    told = {"content-type": "application/json", **headers}
    return Answer(status, Headers(told.items()), json.dumps(document).encode())


def judge(method: str, target: str, given: Answer) -> None:
    official().judge(method, target, given)


def test_a_good_answer_passes() -> None:
    shown = flow(created="2020-01-01T00:00:00Z")

    judge("GET", f"/flows/{shown['id']}", answer(200, shown))
    judge("GET", "/flows?limit=1", answer(200, [shown], **{**PAGING, "X-Paging-Limit": "1"}))
    judge("GET", f"/flows/{UNKNOWN}", answer(404, ERROR))
    judge("GET", f"/flows/{UNKNOWN}/max_bit_rate", answer(200, None))


@pytest.mark.parametrize(
    "member",
    [
        {"created": "2020-01-01T00:00:00"},
        {"created": "yesterday"},
        {"id": UNKNOWN + "\n"},
        {"id": "x"},
        {"timerange": "[0:0_1:0)\n"},
        {"label": None},
        {"essence_parameters": {"colour": "red"}},
        {"profile_id": ""},
    ],
)
def test_a_document_that_breaks_the_schema_fails(member: dict[str, Any]) -> None:
    """R-TIME-12, R-GEN-07: formats are checked, and patterns end where the text ends."""
    with pytest.raises(AssertionError):
        judge("GET", f"/flows/{UNKNOWN}", answer(200, {**flow(), **member}))


@pytest.mark.parametrize(
    ("method", "target", "given"),
    [
        ("GET", f"/flows/{UNKNOWN}/label", answer(200, None)),
        ("GET", "/flows", answer(200, [])),
        ("GET", "/flows", answer(200, [], **PAGING)),
        ("GET", "/flows", answer(200, [], **{**PAGING, "X-Paging-Count": "0", "Link": "<a>"})),
        ("GET", "/sources?limit=5", answer(200, [], **{**PAGING, "X-Paging-Count": "0"})),
        ("GET", "/flows", answer(200, [], **{**PAGING, "X-Paging-Timerange": "()"})),
        ("PUT", f"/flows/{UNKNOWN}", answer(200, flow())),
        ("GET", "/flows", answer(500, {"type": "x"})),
        ("GET", "/flows", answer(400, {**ERROR, "message": "other"})),
        ("GET", "/flows", answer(400, ERROR, **{"content-type": "text/plain"})),
        ("HEAD", "/flows", answer(200, [])),
    ],
)
def test_an_answer_that_breaks_the_document_fails(method: str, target: str, given: Answer) -> None:
    with pytest.raises(AssertionError):
        judge(method, target, given)
