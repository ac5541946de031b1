"""Signatures of requests: AWS SigV4 with an empty region, as the SDK makes them."""

import functools
import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from tests.servers.vast.errors import Refused

_SIGNED = "host;x-amz-date"


def check(
    keys: Mapping[str, str],
    how: Literal["full", "headers", "off"],
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Check a request against the secret keys, by access key; raises 403."""
    if how == "off":
        return
    told = headers.get("authorization", "")
    fields = dict(part.strip().partition("=")[::2] for part in told.partition(" ")[2].split(","))
    access, _, scope = fields.get("Credential", "").partition("/")
    secret = keys.get(access)
    if secret is None or fields.get("SignedHeaders") != _SIGNED:
        raise Refused(403, "InvalidAccessKeyId", "no such access key")
    digest = hashlib.sha256(body).hexdigest() if how == "full" else ""
    if digest and digest != headers.get("x-amz-content-sha256"):
        raise Refused(403, "XAmzContentSHA256Mismatch", "the body is not what was signed")
    path, _, query = target.partition("?")
    parameters = "&".join(
        part if "=" in part else part + "=" for part in sorted(query.split("&")) if part
    )
    date = headers.get("x-amz-date", "")
    canonical = "\n".join(
        (
            *(method, quote(path, safe="/-_.~"), parameters),
            *(f"host:{headers.get('host', '')}", f"x-amz-date:{date}", ""),
            *(_SIGNED, headers.get("x-amz-content-sha256", "")),
        )
    )
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}"
    expected = hmac.digest(_key(secret, scope), text.encode(), "sha256").hex()
    if not hmac.compare_digest(expected, fields.get("Signature", "")):
        raise Refused(403, "SignatureDoesNotMatch", "the signature is not right")


@functools.lru_cache(16)
def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
