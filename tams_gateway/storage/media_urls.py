"""Signed URLs of the gateway's own media routes, for object stores that live in it.

The signature is keyed BLAKE2b over method, store, key, expiry and, on PUT, the content type; the
path ends in the key, and so in the ending that players need (B27).
"""

import functools
import hmac
from collections.abc import Callable, Sequence
from hashlib import blake2b
from urllib.parse import quote

from tams_gateway.storage.key_ring import Key, KeyRing
from tams_gateway.storage.objects import Upload


class MediaUrls:
    """Makes and verifies the URLs of one store, named by its section in the config.

    `ring` is shared by every process: its newest key signs, any of them verifies. `lifetime` is how
    long URLs hold, in seconds; `now` returns seconds since 1970.
    """

    def __init__(self, store: str, ring: KeyRing, lifetime: int, now: Callable[[], float]) -> None:
        self._store = store
        self._root = f"/media/{store}/"
        self._lifetime = lifetime
        self._now = now
        self._ring = ring

    def upload(self, key: str, content_type: str, *, presigned: bool) -> Upload:
        """Return how a client uploads to a key."""
        return Upload(self.put(key, content_type) if presigned else self.plain(key), presigned)

    def download(self, keys: Sequence[str], *, presigned: bool) -> list[str]:
        """Return the URLs that read the keys: the hot path of a segment listing."""
        root = self._root
        if not presigned:
            return [root + key for key in keys]
        expires = str(int(self._now()) + self._lifetime)
        state = self._state(self._ring.newest)
        state.update(f"GET\n{expires}\n\n".encode())
        copy = state.copy
        query = f"?expires={expires}&signature="
        return [f"{root}{key}{query}{_signed(copy(), key)}" for key in keys]

    def put(self, key: str, content_type: str) -> str:
        """Return a presigned URL that uploads to a key with this content type."""
        expires = str(int(self._now()) + self._lifetime)
        signature = self._sign(self._ring.newest, f"PUT\n{expires}\n{content_type}\n", key)
        return (
            f"{self._root}{key}?expires={expires}"
            f"&content-type={_quoted(content_type)}&signature={signature}"
        )

    def plain(self, key: str) -> str:
        """Return the URL that needs credentials instead of a signature."""
        return self._root + key

    def holds(self, method: str, key: str, expires: str, content_type: str, signature: str) -> bool:
        """Whether the signature is ours and not expired; a GET's holds for HEAD as well."""
        if not expires.isascii() or not expires.isdigit() or int(expires[:15]) < self._now():
            return False
        head = f"PUT\n{expires}\n{content_type}\n" if method == "PUT" else f"GET\n{expires}\n\n"
        given = signature.encode()
        return any(
            hmac.compare_digest(self._sign(one, head, key).encode(), given)
            for one in self._ring.keys
        )

    def _state(self, key: Key) -> blake2b:
        return blake2b(f"{self._store}\n".encode(), key=key.secret, digest_size=16)

    def _sign(self, by: Key, head: str, key: str) -> str:
        state = self._state(by)
        state.update(head.encode())
        return _signed(state, key)


@functools.lru_cache(maxsize=256)
def _quoted(content_type: str) -> str:
    return quote(content_type, safe="")


def _signed(state: blake2b, key: str) -> str:
    state.update(key.encode())
    return state.hexdigest()
