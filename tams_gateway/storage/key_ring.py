"""Rings of secret keys: the newest signs and seals, older ones go on verifying until removed."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

_KEPT: Final = 2.0
"""How long a ring is kept before it is read again, in seconds: so soon a rotation is known."""


class Key(msgspec.Struct, frozen=True):
    """A key: its name in what it signed, its 32 secret bytes."""

    id: str
    secret: bytes


class KeyRing:
    """The keys of one purpose, shared by every process and every start.

    `load` returns them, the newest first, and never none. Used by many threads at once.
    """

    def __init__(
        self,
        load: Callable[[], Sequence[Key]],
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._elapsed = elapsed
        self._keys: Sequence[Key] = ()
        self._until = float("-inf")

    @property
    def newest(self) -> Key:
        """The key that signs. Raises `StoreError` where the store that has it fails."""
        return self.keys[0]

    @property
    def keys(self) -> Sequence[Key]:
        """All keys, the newest first. Raises `StoreError`."""
        if self._elapsed() >= self._until:
            self._keys = self._load()
            self._until = self._elapsed() + _KEPT
        return self._keys

    def find(self, key_id: str) -> Key | None:
        """Return the key of that id; one that is unknown is looked for anew. Raises `StoreError`.

        Another process may have made it a moment ago.
        """
        found = self._among(key_id)
        if found is None:
            self._until = float("-inf")
            found = self._among(key_id)
        return found

    def _among(self, key_id: str) -> Key | None:
        return next((key for key in self.keys if key.id == key_id), None)
