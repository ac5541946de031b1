"""The runner: background work of this process, done only while it holds the lease."""

import threading
from collections.abc import Callable, Mapping

import structlog
from structlog.typing import FilteringBoundLogger

from tams_gateway.events.sink import EventSink
from tams_gateway.jobs import collection, copies, deletion
from tams_gateway.jobs.deliveries import Deliveries
from tams_gateway.jobs.lease import Lease, Lost
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.errors import ConflictError, StoreError

Job = Callable[[Gateway, Lease, FilteringBoundLogger], bool]
"""Does the next piece of work, each `apply` under the lease; returns whether there was any."""

JOBS: tuple[Job, ...] = (
    deletion.carry_out,
    collection.collect,
    copies.settle,
    deletion.expire,
)

_POLL = 0.4
"""Seconds between looks for work: a job asked for in any process starts within one second."""


class Runner:
    """One thread that does the jobs, and one for each sink; exactly one process is at work.

    `woken` is set by operations of this process that leave work behind.
    """

    def __init__(
        self, gateway: Gateway, sinks: Mapping[str, EventSink], woken: threading.Event
    ) -> None:
        self._gateway = gateway
        self._woken = woken
        self._stopped = threading.Event()
        self._lease = Lease(gateway.metadata, gateway.now_ns)
        self._deliveries = Deliveries(gateway.metadata, sinks)
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        self._log = structlog.get_logger("tams_gateway.jobs")

    def start(self) -> None:
        """Begin; called once, in the process that serves."""
        self._thread.start()
        self._deliveries.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop after the piece of work in hand, and give the lease back."""
        self._stopped.set()
        self._woken.set()
        self._deliveries.stop(timeout)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                self.run()
            except (ConflictError, Lost):
                continue  # Another process was at the same work: look again.
            except StoreError as error:
                self._log.error("jobs_wait", error=str(error))
            except Exception:
                self._log.exception("job_failed")
            self._woken.wait(_POLL)
            self._woken.clear()
        try:
            self._lease.release()
        except StoreError as error:
            self._log.warning("lease_not_released", error=str(error))

    def run(self) -> None:
        """Do all the work that there is, if this process holds the lease."""
        busy = True
        while busy and not self._stopped.is_set():
            holds = self._lease.acquire()
            self._deliveries.activate(holds)
            if not holds:
                return
            # Each job in turn, so that a long deletion does not hold up a copy.
            busy = sum(job(self._gateway, self._lease, self._log) for job in JOBS) > 0
        self._deliveries.wake()
