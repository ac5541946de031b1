"""Leases: one process at a time does certain jobs, and another takes over when it dies."""

import time
from collections.abc import Callable

import msgspec

from tams_gateway.domain.identifiers import new_uuid
from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations.kinds import LEASE
from tams_gateway.storage.changes import ABSENT, Expect, Put
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.records import Record

LENGTH_NS = 8 * SECOND
"""How long a lease holds without renewal; a killed holder's is taken over after that."""

_RENEWED_AFTER_NS = 3 * SECOND


class _Lease(msgspec.Struct, frozen=True):
    holder: str
    until: int


_decoder = msgspec.json.Decoder(_Lease)


class Lost(Exception):
    """Another process holds the lease now: whatever is half done here is theirs."""


class Lease:
    """The claim of this process on the lease of that name; used by one thread alone.

    `now_ns` is the wall clock, which may be set; `elapsed_ns` counts from any moment on. It gives
    way while somebody holds the lease `to`: releases its own, and acquires none.
    """

    def __init__(
        self,
        name: str,
        metadata: MetadataStore,
        now_ns: Callable[[], int],
        elapsed_ns: Callable[[], int] = time.monotonic_ns,
        to: "Lease | None" = None,
    ) -> None:
        self._name = name
        self._metadata = metadata
        self._now_ns = now_ns
        self._elapsed_ns = elapsed_ns
        self._to = to
        self._holder = new_uuid()
        self._version = ABSENT
        self._renewed = 0
        self._seen = ABSENT
        self._seen_since = 0

    def acquire(self) -> bool:
        """Take or renew the lease; return whether this process holds it now."""
        if self._to is not None and self._to.taken():
            self.release()
            return False
        if self._version and self._elapsed_ns() - self._renewed < _RENEWED_AFTER_NS:
            return True
        record = self._record()
        if record is not None and self._is_others(record):
            self._version = ABSENT
            return False
        until = self._now_ns() + LENGTH_NS
        return self._write(until, ABSENT if record is None else record.version)

    def taken(self) -> bool:
        """Whether somebody else holds the lease."""
        record = self._record()
        return record is not None and self._is_others(record)

    def keep(self) -> None:
        """Renew the lease if that is due, in the middle of long work; raises `Lost`."""
        if not self.acquire():
            raise Lost

    def expected(self) -> Expect:
        """Return what every `apply` of a job carries, so that one that slept commits nothing."""
        return Expect(LEASE, self._name, self._version)

    def release(self) -> None:
        """Let another process take over at once."""
        if self._version:
            self._write(0, self._version)
            self._version = ABSENT

    def _record(self) -> Record | None:
        return self._metadata.get(LEASE, [self._name]).get(self._name)

    def _is_others(self, record: Record) -> bool:
        stored = _decoder.decode(record.body)
        if stored.holder == self._holder or self._now_ns() > stored.until:
            return False
        return self._is_kept(record)

    def _is_kept(self, record: Record) -> bool:
        """Whether its holder may still renew the lease; no matter how the clock was set."""
        if record.version != self._seen:
            self._seen, self._seen_since = record.version, self._elapsed_ns()
        return self._elapsed_ns() - self._seen_since <= LENGTH_NS

    def _write(self, until: int, expect: int) -> bool:
        body = msgspec.json.encode(_Lease(self._holder, until))
        try:
            self._metadata.apply([Put(LEASE, self._name, body, {"until": until}, expect)])
            record = self._metadata.get(LEASE, [self._name])[self._name]
        except (ConflictError, KeyError):
            self._version = ABSENT
            return False
        mine = _decoder.decode(record.body).holder == self._holder
        self._version = record.version if mine else ABSENT
        self._renewed = self._elapsed_ns()
        return mine
