"""Refusals and failures as responses: the body of the spec's error schema, and our two members.

`message` equals `summary`, since deployed clients show it (B24, B25); `request_id` finds the log
line.
"""

import time

import msgspec

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.errors import Refusal
from tams_gateway.operations.messages import Response

INTERNAL = "internal_error"
"""The type of an error that is a bug of ours; the log has the traceback."""

_encode = msgspec.json.Encoder().encode


class Problem(msgspec.Struct, frozen=True):
    """The body of every answer from 400 up (R-GEN-10)."""

    type: str
    summary: str
    message: str
    time: str
    request_id: str


def refused(refusal: Refusal, request_id: str) -> Response:
    """Return the answer to a request that is not carried out."""
    body = _body(refusal.type, refusal.summary, request_id)
    return Response(status=refusal.status, body=body, headers=refusal.headers)


def failed(request_id: str) -> Response:
    """Return the answer to a request that met a bug; it tells nothing of it but the id."""
    summary = f"an internal error; the log has it under request id {request_id}"
    return Response(status=500, body=_body(INTERNAL, summary, request_id))


def _body(type_: str, summary: str, request_id: str) -> bytes:
    now = date_time(time.time_ns())
    return _encode(Problem(type_, summary, summary, now, request_id))
