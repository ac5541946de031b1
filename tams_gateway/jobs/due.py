"""What the runner is to take up now."""

from typing import Final

from tams_gateway.domain.timerange import SECOND
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.query import AtLeast, Below, Query, Sort
from tams_gateway.storage.records import Kind, Record

AGAIN_NS: Final = 60 * SECOND
"""When a job tries again what failed: the furthest off that any `due` is set."""


def first_due(gateway: Gateway, kind: Kind) -> Record | None:
    """Return the record whose `due` came first, None where none has come.

    One that is further off than any is set was due before the clock was set back.
    """
    now_ns = gateway.now_ns()
    for condition in (Below("due", now_ns + 1), AtLeast("due", now_ns + 2 * AGAIN_NS)):
        query = Query(kind, (condition,), Sort("due"), limit=1)
        if found := gateway.metadata.find(query).items:
            return found[0]
    return None
