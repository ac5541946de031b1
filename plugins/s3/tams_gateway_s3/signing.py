"""URLs signed with SigV4 in the query: the hot path of a segment listing.

They are those of botocore, byte by byte, at a hundredth of the cost: all that is the same for a
second and for certain conditions is prepared once, and a URL is one SHA-256 and one HMAC.
"""

import hmac
import threading
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from tams_gateway.storage.objects import Place

LONGEST: Final = 7 * 24 * 3600
"""How long a signed URL may hold at most, in seconds: SigV4 has no more."""

_BLOCK: Final = 64
"""The block of SHA-256, in bytes."""

_PORTS: Final = {"http": 80, "https": 443}


class Credentials(msgspec.Struct, frozen=True):
    """An access key with its secret and, for temporary ones, the session token."""

    access_key: str
    secret_key: str
    token: str | None = None


class Wish(msgspec.Struct, frozen=True):
    """What a URL is for.

    `lifetime` is in seconds; `content_type` must be sent with a PUT exactly so.
    """

    method: str
    lifetime: int
    content_type: str | None = None


class Bucket(msgspec.Struct, frozen=True):
    """Where a bucket is reached: `base` is scheme and host, `root` the path before the keys."""

    base: str
    root: str
    region: str

    @classmethod
    def at(cls, endpoint: str, name: str, region: str, *, virtual: bool) -> "Bucket":
        """Return the bucket of an endpoint: in its path, or in its host name (`virtual`)."""
        parts = urlsplit(endpoint)
        host = f"{name}.{parts.netloc}" if virtual else parts.netloc
        path = parts.path.rstrip("/")
        root = f"{path}/" if virtual else f"{path}/{quote(name, safe='')}/"
        return cls(f"{parts.scheme}://{host}", root, region)

    @property
    def host(self) -> str:
        """The `Host` that clients send: without a port that goes without saying."""
        parts = urlsplit(self.base)
        name = parts.netloc.lower()
        if parts.port is not None and parts.port == _PORTS.get(parts.scheme):
            return name.rpartition(":")[0]
        return name

    def plain(self, place: Place) -> str:
        """Return the URL of a place without a signature."""
        query = "" if place.version is None else f"?versionId={quote(place.version, safe='')}"
        return f"{self.base}{self.root}{quote(place.key, safe='/')}{query}"


class Signer:
    """Signs URLs of one bucket. Used by many threads at once.

    With a `window`, in seconds, URLs of one key are equal for so long: they are signed at the
    beginning of the window, and hold longer by it.
    """

    def __init__(self, bucket: Bucket, window: int = 0) -> None:
        self._bucket = bucket
        self._window = window
        self._lock = threading.Lock()
        self._prepared: dict[tuple[int, Credentials, Wish], _Prepared] = {}

    def urls(
        self, credentials: Credentials, wish: Wish, places: Sequence[Place], now: float
    ) -> list[str]:
        """Return a URL for each place, in order; `now` is in seconds since 1970."""
        url = self._for(credentials, wish, int(now)).url
        return [url(place) for place in places]

    def _for(self, credentials: Credentials, wish: Wish, now: int) -> "_Prepared":
        lifetime = wish.lifetime
        if self._window:
            now -= now % self._window
            lifetime += self._window
        which = (now, credentials, wish)
        found = self._prepared.get(which)
        if found is None:
            found = _Prepared(self._bucket, credentials, wish, now, lifetime)
            with self._lock:
                if any(known[0] != now for known in self._prepared) or len(self._prepared) > 64:
                    self._prepared = {}
                self._prepared[which] = found
        return found


class _Prepared:
    """All of a signature but the key."""

    def __init__(
        self, bucket: Bucket, credentials: Credentials, wish: Wish, now: int, lifetime: int
    ) -> None:
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        scope = f"{moment[:8]}/{bucket.region}/s3/aws4_request"
        headers = {"host": bucket.host}
        if wish.content_type is not None:
            headers = {"content-type": " ".join(wish.content_type.split()), **headers}
        signed = ";".join(headers)
        parameters = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": quote(f"{credentials.access_key}/{scope}", safe=""),
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(lifetime),
            "X-Amz-SignedHeaders": quote(signed, safe=""),
        }
        if credentials.token is not None:
            parameters["X-Amz-Security-Token"] = quote(credentials.token, safe="")
        query = _query(dict(sorted(parameters.items())))
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        self._head = f"{wish.method}\n{bucket.root}"
        # A version is the last parameter of what is signed, and the first of the URL.
        self._query = f"\n{query}"
        self._tail = f"\n{lines}\n{signed}\nUNSIGNED-PAYLOAD"
        self._url_head = f"{bucket.base}{bucket.root}"
        self._url_tail = f"{_query(parameters)}&X-Amz-Signature="
        key = _key(credentials.secret_key, moment[:8], bucket.region)
        padded = key.ljust(_BLOCK, b"\0")
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n".encode()
        self._inner = sha256(bytes(byte ^ 0x36 for byte in padded) + text)
        self._outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    def url(self, place: Place) -> str:
        """Return the URL of a place."""
        key = quote(place.key, safe="/")
        version = "" if place.version is None else f"versionId={quote(place.version, safe='')}&"
        text = f"{self._head}{key}{self._query}{version and '&' + version[:-1]}{self._tail}"
        inner = self._inner.copy()
        inner.update(sha256(text.encode()).hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return f"{self._url_head}{key}?{version}{self._url_tail}{outer.hexdigest()}"


def _query(parameters: Mapping[str, str]) -> str:
    return "&".join([f"{name}={value}" for name, value in parameters.items()])


def _key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
