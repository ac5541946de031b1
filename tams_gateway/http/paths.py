"""Paths as they are routed: one percent-encoded spelling, in which a `/` always separates.

Object ids and tag names are any text, slashes included (R-GEN-06), so routing looks at the path
as it was sent. Where a server gives only the decoded path, the templates tell what belongs to
the text: everything behind `/objects/` and behind `/tags/`. A trailing `/instances` of an object
then counts as that route.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from tams_gateway.domain.errors import NotFound

_PLAIN = re.compile(r"/(?!/)[A-Za-z0-9._~/-]*")
_MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ANY_TEXT = re.compile(
    r"(?P<head>/objects/|/(?:flows|sources)/[^/]*/tags/)(?P<text>.*?)(?P<tail>/instances)?",
    re.DOTALL,
)


def routed(target: str, root: str = "") -> str:
    """Return the path of a request target below the base path `root`, in its one spelling.

    Non-ASCII bytes of the target stand as Latin-1, as servers give them. Raises `NotFound` for
    malformed percent-encoding, for what is no UTF-8, and for an empty first part, which routing
    would overlook.
    """
    if not root and _PLAIN.fullmatch(target):
        return target
    path = target.partition("?")[0]
    if not path.startswith("/"):
        path = urlsplit(path).path or "/"
    if root and path.startswith(root):
        path = path[len(root) :] or "/"
    if path.startswith("//"):
        raise NotFound("path: begins with //")
    if _PLAIN.fullmatch(path):
        return path
    if _MALFORMED.search(path):
        raise NotFound("path: malformed percent-encoding")
    return "/".join(_spelt(unquote_to_bytes(part.encode("latin-1"))) for part in path.split("/"))


def encoded(path: str) -> str:
    """Return the routed path for a decoded one, whose characters stand for bytes (PEP 3333).

    Raises `NotFound` as `routed` does.
    """
    if path.startswith("//"):
        raise NotFound("path: begins with //")
    if _PLAIN.fullmatch(path) and not path.startswith("/objects/") and "/tags/" not in path:
        return path
    found = _ANY_TEXT.fullmatch(path)
    if found is None:
        return "/".join(_spelt(part.encode("latin-1")) for part in path.split("/"))
    head, text, tail = found["head"], found["text"], found["tail"] or ""
    if head != "/objects/":
        text, tail = text + tail, ""
    return head + _spelt(text.encode("latin-1")) + tail


def parameters(encoded_values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the path parameters of a routed path, decoded."""
    return {name: unquote(value) for name, value in encoded_values.items()}


def _spelt(part: bytes) -> str:
    try:
        return quote(part.decode(), safe="")
    except UnicodeDecodeError as error:
        raise NotFound("path: expected UTF-8") from error
