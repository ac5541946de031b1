"""Background work that was due before the clock was set back."""

import structlog

from tams_gateway.jobs import collection
from tams_gateway.jobs.due import AGAIN_NS, first_due
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import DELETION_REQUEST
from tams_gateway.operations.releases import release
from tams_gateway.storage.changes import Put
from tams_gateway.storage.records import Segment
from tests.in_memory import Clock

from .conftest import keep

Log = structlog.typing.FilteringBoundLogger
HOURS = 3600


def _due(gateway: Gateway) -> str | None:
    record = first_due(gateway, DELETION_REQUEST)
    return None if record is None else record.id


def test_what_was_due_is_due_still_and_what_waits_goes_on_waiting(
    gateway: Gateway, clock: Clock
) -> None:
    gateway.metadata.apply([Put(DELETION_REQUEST, "due", b"{}", {"due": clock.ns})])

    clock.forward(-3 * HOURS)

    assert _due(gateway) == "due"
    gateway.metadata.apply([Put(DELETION_REQUEST, "due", b"{}", {"due": clock.ns + AGAIN_NS})])
    assert _due(gateway) is None
    clock.forward(61)
    assert _due(gateway) == "due"


def test_what_came_before_goes_before_what_is_due_by_a_clock_that_was_wrong(
    gateway: Gateway, clock: Clock
) -> None:
    gateway.metadata.apply([Put(DELETION_REQUEST, "future", b"{}", {"due": clock.ns})])
    clock.forward(-3 * HOURS)
    gateway.metadata.apply([Put(DELETION_REQUEST, "now", b"{}", {"due": clock.ns})])

    assert _due(gateway) == "now"


def test_bytes_of_objects_without_use_go_at_once(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log
) -> None:
    """R-OBJ-07: nothing waits until the clock is where it was."""
    keep(gateway, state="registered", uses=1)
    gateway.metadata.apply(release(gateway, [Segment(0, 1, "one", b"{}", clock.ns)]))

    clock.forward(-3 * HOURS)

    assert collection.collect(gateway, lease, log)
    assert not media_objects.load(gateway, ["one"])


def test_what_goes_at_once_has_a_time_of_its_own(gateway: Gateway, clock: Clock) -> None:
    """So that the next of a million to be collected are found without sorting all of them."""
    times = set()
    for object_id in ("one", "two"):
        keep(gateway, id=object_id, state="registered", uses=1)
        gateway.metadata.apply(release(gateway, [Segment(0, 1, object_id, b"{}", clock.ns)]))
        times.add(media_objects.load(gateway, [object_id])[object_id].object.expires)
        clock.forward(1)

    assert len(times) == 2
