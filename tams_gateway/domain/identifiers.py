"""Ids: what the schema allows (R-GEN-04), and new ones."""

import os
import re
import uuid
from typing import Annotated, TypeAlias

import msgspec

from tams_gateway.domain.errors import NotFound

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z"
_is_uuid = re.compile(UUID_PATTERN).match

Uuid: TypeAlias = Annotated[str, msgspec.Meta(pattern=UUID_PATTERN)]
"""The id of a flow, source, profile, webhook, storage backend or deletion request."""


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID of versions 1 to 5 in lower case, without anything after it."""
    return _is_uuid(text) is not None


def path_uuid(text: str, what: str) -> str:
    """Return an id from a path; a malformed one names nothing: 404 (R-GEN-05)."""
    if _is_uuid(text) is None:
        raise NotFound(f"no {what} {text!r}: a UUID in lower case is needed in the path")
    return text


def new_uuid() -> str:
    """Return a random UUID (version 4), for what the server names itself."""
    return str(uuid.uuid4())


def new_object_ids(count: int, now_ns: int) -> list[str]:
    """Return unguessable object ids that grow with time (R-STO-10).

    Each has 48 bits of milliseconds since 1970, laid out as UUIDv7, and 74 random bits; growing
    ids keep the inserts of a store together.
    """
    milliseconds = (now_ns // 1_000_000).to_bytes(6, "big").hex()
    head = f"{milliseconds[:8]}-{milliseconds[8:]}-7"
    drawn = os.urandom(10 * count).hex()
    tails = (drawn[at : at + 20] for at in range(0, len(drawn), 20))
    # Sorted, so that the objects of one allocation grow in the order in which they are listed.
    return sorted(
        f"{head}{tail[:3]}-{'89ab'[int(tail[3], 16) & 3]}{tail[4:7]}-{tail[7:19]}" for tail in tails
    )
