"""Deletion requests, carried out in steps and forgotten after their time (R-DEL-05 to -07)."""

from msgspec.structs import replace
from structlog.typing import FilteringBoundLogger

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.deletion_request import Fault
from tams_gateway.jobs.due import AGAIN_NS, first_due
from tams_gateway.jobs.lease import Lease
from tams_gateway.jobs.portions import Portions
from tams_gateway.operations.deletions import put_task, read_task, step
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import DELETION_REQUEST
from tams_gateway.storage.changes import Delete
from tams_gateway.storage.errors import ConflictError, StoreError
from tams_gateway.storage.query import Below, Query
from tams_gateway.storage.records import Record

_portions = Portions()
"""Of this process, of which one thread does this job."""


def carry_out(gateway: Gateway, lease: Lease, log: FilteringBoundLogger) -> bool:
    """Do one step of the request that waits longest; return whether there was one."""
    due = first_due(gateway, DELETION_REQUEST)
    if due is None:
        return False
    try:
        with _portions as number:
            step(gateway, due, (lease.expected(),), number)
    except ConflictError:
        # Somebody else deletes the same segments, or has the lease: read again.
        return True
    except StoreError as error:
        log.error("deletion_failed", deletion_request=due.id, error=str(error))
        _note_failure(gateway, lease, due, error)
    return True


def _note_failure(gateway: Gateway, lease: Lease, record: Record, error: StoreError) -> None:
    now_ns = gateway.now_ns()
    task = read_task(record)
    fault = Fault("unavailable", str(error), date_time(now_ns))
    document = replace(task.document, status="error", error=fault, updated=date_time(now_ns))
    put = put_task(replace(task, document=document), now_ns + AGAIN_NS, record.version)
    gateway.metadata.apply([lease.expected(), put])


def expire(gateway: Gateway, lease: Lease, log: FilteringBoundLogger) -> bool:
    """Forget requests whose time is over; return whether there were any."""
    query = Query(DELETION_REQUEST, (Below("expiry", gateway.now_ns()),), limit=100)
    expired = gateway.metadata.find(query).items
    if expired:
        gone = [Delete(DELETION_REQUEST, record.id, record.version) for record in expired]
        gateway.metadata.apply([lease.expected(), *gone])
        log.info("deletion_requests_expired", count=len(gone))
    return bool(expired)
