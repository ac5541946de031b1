"""The hold: while somebody reads or replaces the whole store, nobody deletes bytes.

It is a lease. Whoever deletes bytes does so under another one, and gives way: so a backup takes the
hold, waits until those leases are free, and takes them as well.
"""

import threading
import time
from collections.abc import Sequence
from typing import Final

from tams_gateway.jobs.lease import LENGTH_NS, Lease
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import HOLD
from tams_gateway.storage.errors import StoreError

COLLECTION: Final = "collection"
COPIES: Final = "copies"
"""The leases under which bytes are deleted."""

_PATIENCE: Final = LENGTH_NS / 1e9 + 4
"""Seconds to wait for a holder: one that has died holds its lease for the most of them."""


def lease_for_deletion(name: str, gateway: Gateway) -> Lease:
    """Return a lease that gives way to a hold."""
    hold = Lease(HOLD, gateway.metadata, gateway.now_ns)
    return Lease(name, gateway.metadata, gateway.now_ns, to=hold)


class Hold:
    """Keeps all processes from deleting bytes within its block; renewed by a thread.

    Entering raises `StoreError` where somebody else has the hold.
    """

    def __init__(self, gateway: Gateway) -> None:
        names = (HOLD, COLLECTION, COPIES)
        self._leases = [Lease(name, gateway.metadata, gateway.now_ns) for name in names]
        self._ended = threading.Event()
        self._kept = 0.0
        self._thread = threading.Thread(target=self._renew, name=HOLD, daemon=True)

    def __enter__(self) -> "Hold":
        """Take the hold, and wait until nobody deletes bytes any more."""
        self._wait(self._leases[:1], "a backup or a restore is at work on this store")
        self._wait(self._leases, "a job of the gateway deletes bytes")
        self._kept = time.monotonic()
        self._thread.start()
        return self

    def _wait(self, leases: Sequence[Lease], reason: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not all(lease.acquire() for lease in leases):
            if time.monotonic() > end:
                self._release()
                raise StoreError(f"{reason}; try again when it has ended")
            self._ended.wait(0.05)

    def check(self) -> None:
        """Raise `StoreError` if bytes may have been deleted since the block was entered."""
        if time.monotonic() - self._kept > LENGTH_NS / 1e9:
            raise StoreError("the metadata store did not answer for too long; begin again")

    def __exit__(self, *_: object) -> None:
        """Let bytes be deleted again."""
        self._ended.set()
        self._thread.join()
        self._release()

    def _renew(self) -> None:
        while not self._ended.wait(1.0):
            started = time.monotonic()
            try:
                kept = all(lease.acquire() for lease in self._leases)
            except StoreError:
                continue  # `check` tells, if it goes on for long.
            if not kept:
                self._kept = float("-inf")
                return
            self._kept = started

    def _release(self) -> None:
        for lease in reversed(self._leases):
            lease.release()
