"""Keys of objects in their storage backends: made at allocation, never again.

Object ids are any text; what could leave the root, or does not fit a key, is escaped or hashed.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from string import Formatter

from tams_gateway.domain.timerange import SECOND

PLACEHOLDERS = ("prefix", "yyyy", "mm", "dd", "object_id", "ext")
DEFAULT_TEMPLATE = "{prefix}/{yyyy}/{mm}/{dd}/{object_id}{ext}"

_ENDINGS = {
    "video/mp2t": ".ts",
    "video/mp4": ".mp4",
    "video/iso.segment": ".m4s",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-matroska": ".mkv",
    "application/mp4": ".mp4",
    "application/mxf": ".mxf",
    "application/json": ".json",
    "application/ttml+xml": ".ttml",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/vnd.wave": ".wav",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/jp2": ".jp2",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "text/vtt": ".vtt",
    "text/plain": ".txt",
    "text/xml": ".xml",
}

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_LONGEST = 200


def ending(content_type: str) -> str:
    """Return the file ending for a media type: players refuse segments without one (B27)."""
    subtype = content_type.lower().partition("/")[2]
    known = _ENDINGS.get(content_type.lower())
    if known is not None:
        return known
    plain = re.sub(r"[^a-z0-9]", "", subtype.removeprefix("x-"))
    return f".{plain[:12]}" if plain else ".bin"


def new_token() -> str:
    """Return what makes a key unique whose object id may come again: 40 random bits."""
    return secrets.token_hex(5)


def object_key(
    template: str, prefix: str, object_id: str, content_type: str, now_ns: int, token: str = ""
) -> str:
    """Return the key of a new object: safe characters only, no empty, `.` or `..` segment.

    An ending that the id already has is not doubled. An id that a client chose can be allocated
    again, and one object can be copied again, but a key never belongs to two: there a token is
    the folder of the file.
    """
    ext = ending(content_type)
    name = _escape(object_id)
    stem = name.removesuffix(ext) or name
    if token:
        stem = f"{token}/{stem}"
    now = datetime.fromtimestamp(now_ns // SECOND, UTC)
    key = template.format(
        prefix=prefix,
        yyyy=f"{now.year:04}",
        mm=f"{now.month:02}",
        dd=f"{now.day:02}",
        object_id=stem,
        ext=ext,
    )
    return "/".join(part for part in key.split("/") if part not in ("", ".", ".."))


def check_template(template: str, has_prefix: bool) -> None:
    """Check that a template makes keys of its own for all objects. Raises ValueError."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"template: {error}, got {template!r}") from error
    names = [name for _, name, _, _ in parts if name is not None]
    plain = all(not spec and not conversion for _, _, spec, conversion in parts)
    if not plain or not set(names) <= set(PLACEHOLDERS):
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"template: expected only the placeholders {known}, got {template!r}")
    for name in ("object_id", "prefix") if has_prefix else ("object_id",):
        if name not in names:
            raise ValueError(f"template: expected {{{name}}} in it, got {template!r}")
    if any(re.search(r"[^A-Za-z0-9._=~/-]", literal) for literal, *_ in parts):
        reason = "expected letters, digits, . _ = ~ - / beside the placeholders"
        raise ValueError(f"template: {reason}, got {template!r}")


def _escape(object_id: str) -> str:
    """Return text that stands for just this id: `=XX` for each unsafe byte, a hash if long."""
    text = object_id
    if text.startswith(".") or _UNSAFE.search(text):
        raw = text.encode("utf-8", "surrogatepass")
        text = "".join(chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in raw)
        if text.startswith("."):
            text = f"=2E{text[1:]}"
    if len(text) > _LONGEST:
        digest = hashlib.sha256(object_id.encode("utf-8", "surrogatepass")).hexdigest()
        # No escape makes a "~", so a hashed id is never the plain text of another.
        return f"{text[:64]}~{digest}"
    return text
