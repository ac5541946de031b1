"""Standard Webhooks: the id, the time and the signatures by which a receiver trusts a delivery."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from tams_gateway.events.event import Event

_PREFIX: Final = "whsec_"
_SHORTEST: Final = 16


def secrets(texts: Iterable[str]) -> list[bytes]:
    """Return the bytes of secrets as `whsec_` and base64. Raises ValueError for another form."""
    return [_secret(text) for text in texts]


def _secret(text: str) -> bytes:
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("signing_secret: expected whsec_ and base64") from error
    if not text.startswith(_PREFIX) or len(secret) < _SHORTEST:
        reason = f"expected {_PREFIX} and base64 of at least {_SHORTEST} bytes"
        raise ValueError(f"signing_secret: {reason}")
    return secret


def message_id(webhook_id: str, event: Event) -> str:
    """Return the id of an event for a webhook: the same however often it is sent."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (webhook_id.encode(), event.type.encode(), b"%d" % event.at_ns, event.body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return f"msg_{digest.hexdigest()}"


def headers(ring: Sequence[bytes], message: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of the standard, with a signature by each secret; `at` in seconds."""
    signed = f"{message}.{at}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        for secret in ring
    ]
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(signatures),
    }
