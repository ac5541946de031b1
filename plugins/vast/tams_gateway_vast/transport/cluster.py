"""A cluster of VAST: transactions begun, ended, and settled where their end is unknown."""

import itertools
import os
import re
import time
import weakref
from collections.abc import Callable, Sequence
from typing import TypeVar

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.transport.border import Away, Refused, Rival, Unsettled
from tams_gateway_vast.transport.endpoints import (
    Endpoint,
    EndpointHealth,
    Endpoints,
    Log,
    begun,
    told,
    waits,
)
from tams_gateway_vast.transport.transaction import ROW_ID, Transaction

__all__ = ["ROW_ID", "Away", "Cluster", "Refused", "Rival", "Transaction", "Unsettled"]

T = TypeVar("T")


class Cluster:
    """Connects at the first call, and anew in a child after a fork.

    Everything raises the errors of `border`, all of them `StoreError`.
    """

    def __init__(self, settings: Settings, log: Log, now: Callable[[], float]) -> None:
        self.sorted: set[str] = set()
        """The names of tables with a sorting key, whose row ids are decimals on the wire."""
        self.endpoints = Endpoints(settings, log, now)
        self._settings = settings
        self._log = log
        self._now = now
        self._server = ""
        _clusters.add(self)

    @property
    def version(self) -> tuple[int, ...]:
        """The version of the cluster, as (5, 4, 0, 0), as the last transaction was told it."""
        if not self._server:
            self._leave(self.begin())
        if found := re.fullmatch(r"vast (\d+(\.\d+)*)", self._server):
            return tuple(int(one) for one in found[1].split("."))
        raise StoreError(f"{self._settings.place}: says it is {self._server!r}; is this VAST?")

    def begin(self, endpoint: str | None = None) -> Transaction:
        """Begin a transaction on an endpoint that works, or on the one with this URL."""
        if endpoint is not None:
            return self._begin(self.endpoints.of(endpoint))
        for _ in self.endpoints.all[1:]:
            try:
                return self._begin(self.endpoints.next())
            except Away:
                # The endpoint has logged it, and is left alone now.
                continue
        return self._begin(self.endpoints.next())

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Return what `work` returns inside a transaction that is rolled back afterwards.

        If its endpoint fails, again at once on another one, and so on for `patience` seconds.
        """

        def attempt(endpoint: Endpoint) -> T:
            transaction = self._begin(endpoint)
            try:
                return work(transaction)
            finally:
                self._leave(transaction)

        return self._anywhere(attempt)

    def commit(self, transaction: Transaction) -> bool | None:
        """Commit; return True if it is done, False if it is certainly not.

        None: it has ended, but its answer was lost, so that its writer has to look for what it
        wrote. Raises `Unsettled` where even that is not known, and what forbade the commit.
        """
        txid = transaction.txid
        try:
            transaction.endpoint.send("commit", lambda api: api.commit_transaction(txid))
        except Rival:
            self._leave(transaction)
            return False
        except StoreError as error:
            if not self._settled(transaction, error):
                return None
            if isinstance(error, Away):
                return False
            raise
        return True

    def rollback(self, txid: int) -> bool:
        """Roll back a transaction, of any process; return False if it had ended.

        Through any endpoint, tried again for `patience` seconds.
        """

        def attempt(endpoint: Endpoint) -> bool:
            try:
                _roll_back(endpoint, txid)
            except (Refused, Rival):
                return False
            return True

        return self._anywhere(attempt)

    def health(self) -> Sequence[EndpointHealth]:
        """Ask each endpoint; does not raise."""
        return self.endpoints.examine()

    def check(self) -> Health:
        """Return what `health` says of all endpoints together."""
        return told(self._settings.place, self.health())

    def close(self) -> None:
        """Close the connections."""
        _clusters.discard(self)
        self.endpoints.close()

    def _begin(self, endpoint: Endpoint) -> Transaction:
        txid, self._server = endpoint.send("begin", begun)
        return Transaction(endpoint, self._settings, self.sorted, txid)

    def _settled(self, transaction: Transaction, error: StoreError) -> bool:
        """Whether a commit that failed could be rolled back, False if it had ended."""
        try:
            return self.rollback(transaction.txid)
        except StoreError as unknown:
            told = (
                f"{error}; and whether it was made is not known, since the cluster fails: {unknown}"
            )
            raise Unsettled(told) from unknown

    def _leave(self, transaction: Transaction) -> None:
        """Roll back what nobody waits for; not through an endpoint that has just failed."""
        begun = transaction.endpoint
        try:
            _roll_back(self.endpoints.next() if begun.error else begun, transaction.txid)
        except StoreError as error:
            # It has ended already, or the cluster ends it when it has been idle for long.
            self._log.info("not_rolled_back", txid=transaction.txid, error=str(error))

    def _anywhere(self, attempt: Callable[[Endpoint], T]) -> T:
        """Return what `attempt` returns; after a failure it is made again, elsewhere if possible.

        A `Rival` here is one that has ended the transaction.
        """
        ends = time.monotonic() + self._settings.patience
        others = max(len(self.endpoints.all) - 1, 1)
        pauses = itertools.chain(itertools.repeat(0.0, others), waits())
        while True:
            try:
                return attempt(self.endpoints.next())
            except (Away, Rival):
                wait = next(pauses)
                if time.monotonic() + wait >= ends:
                    raise
            time.sleep(wait)


_clusters: "weakref.WeakSet[Cluster]" = weakref.WeakSet()
_inherited: list[object] = []


def _reopen() -> None:
    for cluster in list(_clusters):
        # A connection must not be used, nor closed, in two processes.
        _inherited.append(cluster.endpoints)
        cluster.endpoints = Endpoints(cluster._settings, cluster._log, cluster._now)


os.register_at_fork(after_in_child=_reopen)


def _roll_back(endpoint: Endpoint, txid: int) -> None:
    endpoint.send("roll back", lambda api: api.rollback_transaction(txid))
