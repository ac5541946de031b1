"""API keys at rest: sealed with a key of a ring, and bound to the webhook that they are of."""

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tams_gateway.storage.key_ring import Key

_NONCE: Final = 12
_SHORTEST: Final = 32


class Unsealable(Exception):
    """A sealed text that no key of the ring opens; the message says what to do."""


class Seals:
    """Seals texts with the newest key, and opens what any key of the ring has sealed.

    `keys` returns the ring, the newest first; it may raise `StoreError`.
    """

    def __init__(self, keys: Callable[[], Sequence[Key]]) -> None:
        self._keys = keys

    def seal(self, webhook_id: str, text: str) -> str:
        """Return the text as it may be kept: the id of the key, a colon, and base64."""
        key = self._keys()[0]
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(key.secret).encrypt(nonce, text.encode(), webhook_id.encode())
        return f"{key.id}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, webhook_id: str, sealed: str) -> str:
        """Return the text. Raises `Unsealable`."""
        key_id, _, encoded = sealed.partition(":")
        key = next((one for one in self._keys() if one.id == key_id), None)
        if key is None:
            raise Unsealable(f"the API key was sealed with key {key_id}, which is gone")
        try:
            data = base64.b64decode(encoded, validate=True)
            nonce, text = data[:_NONCE], data[_NONCE:]
            return AESGCM(key.secret).decrypt(nonce, text, webhook_id.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise Unsealable("the API key was changed where it is kept") from error


def configured(secrets: Iterable[str]) -> list[Key]:
    """Return the keys that texts of a config stand for. Raises ValueError for a short one."""
    keys = []
    for secret in secrets:
        if len(secret) < _SHORTEST:
            raise ValueError(f"encryption_keys: expected at least {_SHORTEST} characters each")
        digest = hashlib.sha256(secret.encode()).digest()
        keys.append(Key(hashlib.sha256(digest).hexdigest()[:8], digest))
    return keys
