"""How often somebody may call, and fail to log in: token buckets in bounded memory."""

import math
import threading
import time
from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from tams_gateway.domain.errors import TooManyRequests

MOST: Final = 16_384
"""How many keys are remembered at once; what was longest at rest is forgotten first."""

_REMEMBERED: Final = 600.0
"""For how many seconds the same wrong credentials count as one guess."""


class RateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[rates]` section."""

    requests_per_second: Annotated[float, msgspec.Meta(ge=0)] = 0
    """For each principal, and for each address; 0 is no limit."""
    burst: Annotated[int, msgspec.Meta(ge=1)] = 100
    """How many requests may come at once after a pause."""
    failures_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 10
    """How many wrong credentials an address may send; it cannot be turned off."""


class Buckets:
    """Token buckets by key: each holds `burst` tokens and gets `per_second` of them back."""

    def __init__(
        self, per_second: float, burst: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._cost = 1 / per_second
        self._depth = burst / per_second
        self._now = now
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> float:
        """Take a token; without one return after how many seconds there is, else 0."""
        with self._lock:
            now = self._now()
            full_at = max(self._full_at.get(key, now), now) + self._cost
            wait = full_at - now - self._depth
            if wait > 0:
                return wait
            if key not in self._full_at and len(self._full_at) >= MOST:
                self._forget(now)
            self._full_at[key] = full_at
            return 0

    def wait(self, key: str) -> float:
        """Return after how many seconds there is a token; 0 if there is one."""
        full_at = self._full_at.get(key)
        if full_at is None:
            return 0
        return max(full_at + self._cost - self._now() - self._depth, 0)

    def _forget(self, now: float) -> None:
        """Forget the full buckets, and of the others the half that is nearest to it."""
        left = sorted((at, key) for key, at in self._full_at.items() if at > now)
        self._full_at = {key: at for at, key in left[len(left) // 2 :]}


class Rates:
    """Bounds how often each principal and each address calls. Nothing is bounded by default."""

    def __init__(self, settings: RateSettings, now: Callable[[], float] = time.monotonic) -> None:
        self.on = settings.requests_per_second > 0
        if self.on:
            self._buckets = Buckets(settings.requests_per_second, settings.burst, now)

    def check(self, who: str) -> None:
        """Count a request of `who`. Raises `TooManyRequests`."""
        if self.on:
            refuse(self._buckets.take(who), "too many requests")


class Failures:
    """Bounds how many wrong credentials an address may try.

    Credentials that were right a while ago pass all the same, since an address may be that of a
    proxy, and the same wrong ones count once: a token that has expired is no attack. Only hashes
    of them are kept, that mean nothing outside this process.
    """

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(per_minute / 60, per_minute, now)
        self._now = now
        self._right: set[int] = set()
        self._wrong: set[int] = set()
        self._since = now()

    def check(self, peer: str, mark: int) -> None:
        """Refuse an address that failed too often. Raises `TooManyRequests`."""
        wait = self._buckets.wait(peer)
        if wait and mark not in self._right:
            refuse(wait, "too many failed logins from this address")

    def passed(self, mark: int) -> None:
        """Remember that these credentials are right."""
        if len(self._right) >= MOST:
            self._right = set()
        self._right.add(mark)

    def failed(self, peer: str, mark: int, *, guess: bool) -> bool:
        """Count wrong credentials, if they may be a guess; return whether they are new."""
        now = self._now()
        if len(self._wrong) >= MOST or now - self._since > _REMEMBERED:
            self._wrong, self._since = set(), now
        self._right.discard(mark)
        if mark in self._wrong:
            return False
        self._wrong.add(mark)
        if guess:
            self._buckets.take(peer)
        return True


def refuse(wait: float, summary: str) -> None:
    """Raise `TooManyRequests` where there are seconds to wait."""
    if wait > 0:
        raise TooManyRequests(summary, {"Retry-After": str(math.ceil(wait))})
