"""The outcomes with which a rule ends a request; the HTTP side turns each into a status."""

from collections.abc import Mapping

_LONGEST = 600


class Refusal(Exception):
    """A request that is not carried out.

    `summary` says to a person what was wrong and what was expected, naming the JSON pointer or
    the parameter. `status` is the HTTP status, and `type` the word for it in the error body;
    `headers` go with the answer.
    """

    status = 400
    type = "bad_request"

    def __init__(self, summary: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(summary)
        # It repeats what the client sent, which may be long, and a list may have many refusals.
        if len(summary) > _LONGEST:
            summary = f"{summary[: _LONGEST // 2]} ... {summary[-_LONGEST // 2 :]}"
        self.summary = summary
        self.headers = headers or {}


class Invalid(Refusal):
    """The body, a parameter or the state that it asks for breaks a rule (400)."""

    @classmethod
    def at(cls, pointer: str, reason: str) -> "Invalid":
        """Name the place in the body (a JSON pointer, `""` for all of it) and the reason."""
        return cls(f"{pointer or 'body'}: {reason}")

    @classmethod
    def parameter(cls, name: str, reason: str) -> "Invalid":
        """Name the query parameter and the reason."""
        return cls(f"query parameter {name}: {reason}")


class NotFound(Refusal):
    """What the path names does not exist, or its id is malformed (404, R-GEN-05)."""

    status = 404
    type = "not_found"


class Forbidden(Refusal):
    """The caller may not do this (403)."""

    status = 403
    type = "forbidden"


class ReadOnly(Forbidden):
    """The flow is read-only (403, R-FLW-12)."""

    type = "read_only"


class Unauthenticated(Refusal):
    """Credentials are missing or wrong (401, R-AUTH-02)."""

    status = 401
    type = "unauthenticated"


class MethodNotAllowed(Refusal):
    """The path exists, the method does not (405)."""

    status = 405
    type = "method_not_allowed"


class Immutable(Refusal):
    """Bytes of a registered object are never written again (409, R-STO-13)."""

    status = 409
    type = "immutable"


class LengthRequired(Refusal):
    """An upload without a length, under a server that cannot tell a cut one (411)."""

    status = 411
    type = "length_required"


class TooLarge(Refusal):
    """The body is larger than the limit (413)."""

    status = 413
    type = "too_large"


class RangeNotSatisfiable(Refusal):
    """No byte of the range asked for exists (416)."""

    status = 416
    type = "range_not_satisfiable"


class TooManyRequests(Refusal):
    """The caller is too fast, or failed to log in too often (429, `Retry-After`)."""

    status = 429
    type = "too_many_requests"


class HeadersTooLarge(Refusal):
    """The header of the request is larger than the limit (431)."""

    status = 431
    type = "headers_too_large"


class Unavailable(Refusal):
    """A store cannot do this now, or too many writers met: try again (503, `Retry-After`)."""

    status = 503
    type = "unavailable"


class StorageFull(Refusal):
    """The storage backend has no room for the upload (507)."""

    status = 507
    type = "storage_full"
