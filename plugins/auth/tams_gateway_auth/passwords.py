"""Passwords: hashed with argon2id, and remembered for a while where they were right."""

import hmac
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Final

import argon2

from tams_gateway.storage.errors import StoreError

LONGEST: Final = 1024
"""The longest password, in characters."""

_REMEMBERED: Final = 60.0
"""How long a right password is remembered, in seconds."""

_MOST: Final = 10_000
"""Passwords remembered at once."""

_PATIENCE: Final = 10.0
"""How long a verification waits for its turn, in seconds."""

_LANES: Final = 4


def is_hash(text: str) -> bool:
    """Whether the text is a hash of argon2id."""
    try:
        return argon2.extract_parameters(text).type is argon2.Type.ID
    except argon2.exceptions.InvalidHashError:
        return False


class Passwords:
    """Hashes passwords and verifies them; used by many threads at once.

    A verification costs `memory_kib` KiB and so many `passes` over them; at most `parallel` run
    at a time. What was right is remembered by a digest of password and hash under a key of this
    process: neither can be had from it, and another hash is another entry.
    """

    def __init__(
        self,
        memory_kib: int,
        passes: int,
        parallel: int = 1,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hasher = argon2.PasswordHasher(passes, memory_kib, _LANES)
        self._nobody = _hash_of_nothing(memory_kib, passes)
        self._turns = threading.Semaphore(parallel)
        self._elapsed = elapsed
        self._key = secrets.token_bytes(32)
        self._until: dict[bytes, float] = {}
        self._writing = threading.Lock()

    def hash(self, password: str) -> str:
        """Return a new hash of a password. Raises ValueError for one that is empty or too long."""
        if not 0 < len(password) <= LONGEST:
            raise ValueError(f"expected a password of 1 to {LONGEST} characters")
        return self._hasher.hash(_bytes(password))

    def remembers(self, password: str, hash_: str) -> bool:
        """Whether the password was verified against this hash a moment ago."""
        return self._elapsed() < self._until.get(self._digest(password, hash_), float("-inf"))

    def verify(self, password: str, hash_: str) -> bool:
        """Whether the hash is that of the password; `""` is that of none, and costs the same.

        Raises `StoreError` where too many wait for their turn.
        """
        if not 0 < len(password) <= LONGEST:
            return False
        if not self._turns.acquire(timeout=_PATIENCE):
            raise StoreError("passwords: too many logins at once, raise `parallel` of [[auth]]")
        try:
            # Whoever had the turn before may have brought the same password.
            right = self.remembers(password, hash_) or self._fits(password, hash_)
            if right:
                self._remember(password, hash_)
        finally:
            self._turns.release()
        return right

    def _fits(self, password: str, hash_: str) -> bool:
        try:
            return self._hasher.verify(hash_ or self._nobody, _bytes(password))
        except argon2.exceptions.VerifyMismatchError:
            return False
        except argon2.exceptions.VerificationError as error:
            raise StoreError(f"passwords: argon2: {error}") from error

    def _remember(self, password: str, hash_: str) -> None:
        now = self._elapsed()
        with self._writing:
            if len(self._until) >= _MOST:
                self._until = {one: end for one, end in self._until.items() if now < end}
            if len(self._until) < _MOST:
                self._until.setdefault(self._digest(password, hash_), now + _REMEMBERED)

    def _digest(self, password: str, hash_: str) -> bytes:
        return hmac.digest(self._key, hash_.encode() + b"\0" + _bytes(password), "sha256")


def _bytes(password: str) -> bytes:
    """Return the bytes of any text, lone surrogates too."""
    return password.encode("utf-8", "surrogatepass")


def _hash_of_nothing(memory_kib: int, passes: int) -> str:
    """Return what looks like a hash and is that of no password."""
    salt, digest = (_unpadded(secrets.token_bytes(size)) for size in (16, 32))
    version = argon2.low_level.ARGON2_VERSION
    return f"$argon2id$v={version}$m={memory_kib},t={passes},p={_LANES}${salt}${digest}"


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
