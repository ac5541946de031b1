"""Which pages may call from a browser, and the headers that tell it so (G-01, B3, B4)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

LOCAL: Final = ("http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*")
"""Pages of this machine, on any port: the origins of a gateway without credentials."""

_PREFLIGHT: Final = {
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Range, If-Match, If-None-Match, If-Modified-Since, "
        "If-Range, X-Request-ID, X-Amz-Checksum-Sha256, Content-MD5, Content-Digest, Repr-Digest"
    ),
    "Access-Control-Max-Age": "7200",
}

_EXPOSED: Final = (
    "Link, Location, Retry-After, WWW-Authenticate, X-Request-ID, X-Paging-Count, X-Paging-Limit, "
    "X-Paging-NextKey, X-Paging-Reverse-Order, X-Paging-Timerange, Content-Length, Content-Range, "
    "Accept-Ranges, ETag, X-Amz-Checksum-Sha256"
)

_VARY: Final = {"Vary": "Origin"}


class Cors:
    """The rule for origins; one with the port `*` stands for every port, also for none."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = "*" in origins
        self._pattern = re.compile("|".join(_pattern(origin) for origin in origins) or r"(?!)")

    def allows(self, origin: str, base: str) -> bool:
        """Whether a page of the origin may call; a page of ours (below `base`) always may."""
        return (
            self._any
            or self._pattern.fullmatch(origin) is not None
            or base == origin
            or base.startswith(origin + "/")
        )

    def headers(self, origin: str | None, base: str) -> Mapping[str, str]:
        """Return the headers for an answer, errors too; never credentials from a cookie jar."""
        if origin is None:
            return _VARY
        if not self.allows(origin, base):
            return _VARY
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": "*" if self._any else origin,
            "Access-Control-Expose-Headers": _EXPOSED,
        }


def preflight(methods: Sequence[str]) -> Mapping[str, str]:
    """Return the headers of an answer to OPTIONS, beside those of every answer."""
    allowed = ", ".join(methods)
    return {"Allow": allowed, "Access-Control-Allow-Methods": allowed, **_PREFLIGHT}


def _pattern(origin: str) -> str:
    return re.escape(origin).replace(r":\*", r"(:[0-9]+)?")
