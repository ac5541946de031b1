"""Counts what a thread asks of VAST, whichever cluster it is: requests, and rows that came back."""

import threading
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from tams_gateway_vast.transport.transaction import Transaction
from urllib3 import HTTPConnectionPool


class Count(threading.local):
    """What this thread has asked since it `start`ed: a gateway's other threads do not count."""

    requests = 0
    rows = 0

    def start(self) -> None:
        """Count from 0 again."""
        self.requests = self.rows = 0


def counted() -> Count:
    """Return what counts from now on, in all of the process."""
    count = Count()
    urlopen, select = HTTPConnectionPool.urlopen, Transaction.select

    def opened(self: HTTPConnectionPool, *args: Any, **options: Any) -> Any:
        count.requests += 1
        return urlopen(self, *args, **options)

    def selected(self: Transaction, *args: Any, **options: Any) -> pa.Table:
        found = select(self, *args, **options)
        count.rows += len(found)
        return found

    HTTPConnectionPool.urlopen = opened  # type: ignore[method-assign]
    Transaction.select = selected  # type: ignore[method-assign]
    return count
