"""The runner: background work of this process, done only while it holds the lease for it."""

import threading
import time
from collections.abc import Callable, Sequence

import structlog
from structlog.typing import FilteringBoundLogger

from tams_gateway.jobs import collection, copies, deletion, journals
from tams_gateway.jobs.deliveries import Deliveries
from tams_gateway.jobs.hold import COLLECTION, COPIES, lease_for_deletion
from tams_gateway.jobs.lease import Lease, Lost
from tams_gateway.jobs.outbox import Forgetting
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.errors import ConflictError, StoreError

Job = Callable[[Gateway, Lease, FilteringBoundLogger], bool]
"""Does the next piece of work, each `apply` under the lease; returns whether there was any."""

_POLL = 0.4
"""Seconds between looks for work: a job asked for in any process starts within one second."""

_RESTS = 4
"""After a piece of work its worker rests, for as long as it computed and so many times as long as
it waited: it waits where requests are at work, and they wait for it."""

_LONGEST_REST = 0.015
"""Seconds."""


class Worker:
    """A thread that does certain jobs in turn, while this process holds the lease for them.

    `held` is told after each look whether it does.
    """

    def __init__(
        self,
        name: str,
        jobs: Sequence[Job],
        gateway: Gateway,
        lease: Lease,
        held: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._jobs = jobs
        self._gateway = gateway
        self._held = held
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._lease = lease
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._log = structlog.get_logger("tams_gateway.jobs")

    def start(self) -> None:
        """Begin; called once, in the process that serves."""
        self._thread.start()

    def wake(self) -> None:
        """Look for work at once."""
        self._woken.set()

    def stop(self) -> None:
        """Stop after the piece of work in hand, and give the lease back."""
        self._stopped.set()
        self._woken.set()

    def join(self, timeout: float) -> None:
        """Wait until it has stopped, or so many seconds."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                self.run()
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
            began, computed = time.monotonic(), time.thread_time()
            holds = self._lease.acquire()
            self._held(holds)
            # Each job in turn, so that a long deletion does not hold up a collection.
            busy = holds and sum(map(self._do, self._jobs)) > 0
            if busy:
                computed = time.thread_time() - computed
                waited = time.monotonic() - began - computed
                self._stopped.wait(min(computed + _RESTS * waited, _LONGEST_REST))

    def _do(self, job: Job) -> bool:
        """Do the next piece of one job; one that fails holds up no other."""
        try:
            return job(self._gateway, self._lease, self._log)
        except (ConflictError, Lost):
            # Another process was at the same work: look again after a pause.
            self._log.debug("job_raced")
        except StoreError as error:
            self._log.error("jobs_wait", error=str(error))
        except Exception:
            self._log.exception("job_failed")
        return False


class Runner:
    """All the background work of a process, under three leases.

    What deletes bytes has leases of its own, which a backup takes. Copies have their own thread
    since one may take minutes, and so has each sink.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._deliveries = Deliveries(gateway)
        jobs = (deletion.carry_out, deletion.expire, journals.expire, Forgetting())
        lease = Lease("jobs", gateway.metadata, gateway.now_ns)
        self._workers = (
            Worker("jobs", jobs, gateway, lease, self._deliveries.activate),
            *(
                Worker(name, (job,), gateway, lease_for_deletion(name, gateway))
                for name, job in ((COLLECTION, collection.collect), (COPIES, copies.settle))
            ),
        )

    def start(self) -> None:
        """Begin; called once, in the process that serves."""
        for worker in self._workers:
            worker.start()
        self._deliveries.start()

    def wake(self) -> None:
        """Look for work at once: an operation of this process left some."""
        for worker in self._workers:
            worker.wake()
        self._deliveries.wake()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop after the pieces of work in hand, and give the leases back."""
        end = time.monotonic() + timeout
        jobs, *others = self._workers
        for worker in others:
            worker.stop()
        # Nobody else is to deliver before this process has stored how far it came.
        self._deliveries.stop(timeout / 2)
        jobs.stop()
        for worker in self._workers:
            worker.join(max(end - time.monotonic(), 0.5))
