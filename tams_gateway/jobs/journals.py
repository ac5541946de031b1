"""Expiry of the audit trail and of the log of logins."""

from structlog.typing import FilteringBoundLogger

from tams_gateway.domain.timerange import SECOND
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import AUDIT, AUTH_LOG
from tams_gateway.storage.changes import Delete
from tams_gateway.storage.query import Below, Query, Sort

_STEP = 200


def expire(gateway: Gateway, lease: Lease, _log: FilteringBoundLogger) -> bool:
    """Delete some entries that are older than they are kept; return whether there were any."""
    bound = gateway.now_ns() - gateway.limits.auth_log_lifetime * SECOND
    for kind in (AUDIT, AUTH_LOG):
        query = Query(kind, (Below("at", bound),), Sort("at"), limit=_STEP)
        old = gateway.metadata.find(query).items
        if old:
            changes = [Delete(kind, record.id, record.version) for record in old]
            gateway.metadata.apply([*changes, lease.expected()])
            return True
    return False
