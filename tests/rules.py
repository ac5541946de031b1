"""The rules by number, and why some have no test here."""

from collections.abc import Mapping
from typing import Final

FAMILIES: Final[Mapping[str, tuple[int, str]]] = {
    "GEN": (11, "HTTP in general"),
    "AUTH": (12, "Authentication and authorisation"),
    "PAGE": (21, "Pages, order, filters"),
    "TIME": (12, "Timestamps and timeranges"),
    "SVC": (8, "The service"),
    "STB": (5, "Storage backends"),
    "PRF": (16, "Profiles"),
    "SRC": (11, "Sources"),
    "FLW": (27, "Flows"),
    "FPR": (6, "Properties of flows"),
    "COL": (6, "Collections"),
    "SEG": (37, "Segments"),
    "URL": (12, "URLs of segments and objects"),
    "STO": (13, "Allocation of storage"),
    "OBJ": (11, "Objects"),
    "INS": (8, "Instances of objects"),
    "DEL": (7, "Deletion requests"),
    "WHK": (24, "Webhooks"),
    "EVT": (6, "Events"),
    "RET": (3, "Retention"),
}
"""How many rules there are of each subject."""

BEHAVIOURS: Final[tuple[str, ...]] = (
    "`Link` is an absolute URL below the very base that the client called",
    "`Link` holds nothing but the next page, without a raw comma or semicolon",
    "OPTIONS needs no credentials; pages see `Link`, `Location` and `X-Paging-*`, on errors, too",
    "pages may fetch and upload media, ranges included",
    "`a%2Cb` is a list of two wherever a list is asked for",
    "`put_url` names its `content-type`, and an upload needs nothing else",
    "every presigned URL says that it is",
    "a listing of presigned URLs holds only such; otherwise they come first",
    "dates in documents are `YYYY-MM-DDTHH:MM:SSZ`",
    "a flow as it was read can be put, with its own id or another",
    "a segment as it was read, less its URLs, can be posted",
    "unknown query parameters are ignored",
    "page keys need no encoding, and stand for themselves beside the same query",
    "a limit that is too high is lowered",
    "a flow's timerange has both marks and both bounds, `()` where it is empty",
    "timeranges in queries may have raw brackets, and lack marks or bounds",
    "an empty `accept_get_urls` leaves the URLs out; an empty tag filter matches empty tags",
    "a content type on a request without a body harms nothing",
    "no answer is compressed",
    "without an auth provider credentials are not looked at",
    "the token endpoint takes client credentials by header and by form",
    "tokens without audience, with the groups of Cognito, are understood",
    "bulk requests may have megabytes, with tens of thousands of segments",
    "an object id in use is refused with the words `already exist`",
    "errors carry `message`, which people are shown",
    "segments come in the order of time, whatever else is asked",
    "media URLs end in the extension that players expect",
    "media have their type, length and ranges, also on HEAD",
    "a base path in front of the API is honoured everywhere",
    "`/service` tells times within their bounds; one storage backend is the default",
    "what a flow shows is what was put, value by value",
    "uploads and downloads tell the SHA-256 of the bytes",
    "tags stay as their writers left them",
)
"""What clients in use rely on beyond the specification, B1 first."""

UNHEALED: Final[tuple[str, ...]] = (
    "tamstool sends an empty body to clear a label, which is no JSON: it gets 400.",
    "tamstool has a link with `segments&reverse_order=`, which is no path of the API.",
    "The webhook receiver of the AWS tools looks for `objectId`, which is `object_id`.",
    "The HLS API of the AWS tools needs a `description` on audio and subtitle flows.",
    "The examples of the BBC fail on an empty `get_urls`: ask for URLs when you use them.",
    "Omakase plays a placeholder of its own for a hole in the time line.",
)
"""Faults of clients that no answer of ours can make good."""

_AUTH: Final = (
    "comes with the auth plugins: this gateway refuses by scope, and is open to its machine"
)
_WEBHOOKS: Final = "comes with the events plugin; without it `/service` announces no webhooks"
_LOOK: Final = "optional, and left to workers outside: nothing is deleted that no client asked for"

REASONS: Final[Mapping[str, str]] = {
    "R-AUTH": _AUTH,
    "R-WHK": _WEBHOOKS,
    "R-RET": _LOOK,
    "R-FLW-16": "optional: the status is the clients' word, and stays as they left it",
    "R-SEG-09": "a rule for clients, who ask again once a URL has ended",
    "R-URL-11": "plain URLs take the credentials of the API, which come with the auth plugins",
    "R-INS-08": "no switch yet: who may write may add an instance",
    "B21": _AUTH,
    "B22": _AUTH,
}
"""Why a rule, or all that remain of a subject, have no test here."""
