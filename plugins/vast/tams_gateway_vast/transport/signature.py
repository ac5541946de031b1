"""SigV4 in headers, as the SDK signs: of no region, with host and date as the signed headers."""

import hmac
import time
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import pyarrow as pa  # type: ignore[import-untyped]

_SIGNED: Final = "host;x-amz-date"


class Signer:
    """Signs requests to one host with one access key."""

    def __init__(self, access_key: str, secret_key: str, host: str) -> None:
        """Sign for `host` as the header of this name tells it."""
        self._access_key = access_key
        self._secret_key = secret_key
        self._host = host
        self._key = ("", b"")

    def headers(
        self, method: str, target: str, body: bytes | pa.Buffer | None, now: float
    ) -> dict[str, str]:
        """Return the headers that sign a request at a time in seconds since 1970.

        `target` is path and query, whose values are quoted already.
        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        scope = f"{moment[:8]}//s3/aws4_request"
        path, _, query = target.partition("?")
        parameters = "&".join(
            part if "=" in part else f"{part}=" for part in sorted(query.split("&")) if part
        )
        content = sha256(body or b"").hexdigest()
        canonical = (
            f"{method}\n{quote(path, safe='/-_.~')}\n{parameters}\n"
            f"host:{self._host}\nx-amz-date:{moment}\n\n{_SIGNED}\n{content}"
        )
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key_of(moment[:8]), text.encode(), "sha256").hex()
        return {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self._access_key}/{scope}, "
            f"SignedHeaders={_SIGNED}, Signature={signature}",
            "x-amz-date": moment,
            "x-amz-content-sha256": content,
        }

    def _key_of(self, day: str) -> bytes:
        known, key = self._key
        if known != day:
            key = f"AWS4{self._secret_key}".encode()
            for part in (day, "", "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (day, key)
        return key
