"""Events are kept for a time, whether or not somebody has heard them, and then forgotten."""

import pytest
import structlog
from msgspec.structs import replace
from structlog.testing import capture_logs

from tams_gateway.events.event import Event
from tams_gateway.jobs.deliveries import Deliveries
from tams_gateway.jobs.lease import Lease
from tams_gateway.jobs.outbox import Forgetting
from tams_gateway.operations.gateway import Gateway, Limits
from tams_gateway.storage.changes import Emit
from tests.in_memory import Clock

from .test_deliveries import Sink

LIFETIME = 1000


class Outbox:
    """The outbox of a gateway on which the job runs every ten seconds of its clock."""

    def __init__(self, gateway: Gateway, lease: Lease, clock: Clock) -> None:
        self.gateway = replace(gateway, limits=Limits(event_lifetime=LIFETIME))
        self.forgetting = Forgetting()
        self._lease = lease
        self._clock = clock

    def emit(self, number: int) -> None:
        event = Event("flows/updated", self.gateway.now_ns(), b"%d" % number)
        self.gateway.metadata.apply([Emit([event])])

    def numbers(self) -> list[int]:
        return [int(event.body) for event in self.gateway.metadata.events(None, 1000).items]

    def forward(self, seconds: int) -> None:
        for _ in range(seconds // 10):
            self._clock.forward(10)
            self.run()

    def run(self) -> None:
        assert self._lease.acquire()
        while self.forgetting(self.gateway, self._lease, structlog.get_logger("test")):
            pass


@pytest.fixture
def outbox(gateway: Gateway, lease: Lease, clock: Clock) -> Outbox:
    outbox = Outbox(gateway, lease, clock)
    outbox.run()
    return outbox


def test_events_are_kept_for_their_lifetime_and_hardly_longer(outbox: Outbox) -> None:
    for number in range(3):
        outbox.emit(number)
        outbox.forward(100)
    assert outbox.numbers() == [0, 1, 2]

    outbox.forward(LIFETIME - 310)
    assert outbox.numbers() == [0, 1, 2]
    outbox.forward(30)
    assert outbox.numbers() == [1, 2]
    outbox.forward(200)
    assert outbox.numbers() == []


def test_a_process_that_takes_over_forgets_at_the_same_time(outbox: Outbox) -> None:
    outbox.emit(0)
    outbox.forward(LIFETIME - 20)
    outbox.forgetting = Forgetting()

    outbox.forward(10)
    assert outbox.numbers() == [0]
    outbox.forward(30)
    assert outbox.numbers() == []


def test_after_a_long_rest_all_is_forgotten_that_was_marked(outbox: Outbox, clock: Clock) -> None:
    for number in range(3):
        outbox.emit(number)
        outbox.forward(100)
    clock.forward(10 * LIFETIME)

    outbox.run()

    assert outbox.numbers() == []


def test_a_clock_that_was_set_back_keeps_nothing_for_ever(outbox: Outbox, clock: Clock) -> None:
    outbox.emit(0)
    outbox.forward(20)
    clock.forward(-100 * LIFETIME)

    outbox.forward(LIFETIME - 20)
    assert outbox.numbers() == [0]
    outbox.forward(50)
    assert outbox.numbers() == []


def test_what_a_sink_has_lost_is_told_and_it_goes_on_from_the_oldest(outbox: Outbox) -> None:
    fast, slow = Sink(), Sink()
    outbox.gateway = replace(outbox.gateway, sinks={"fast": fast, "slow": slow})
    deliveries = Deliveries(outbox.gateway)
    outbox.emit(0)
    deliveries.deliver("fast", fast)
    outbox.forward(500)
    outbox.emit(1)
    deliveries.deliver("fast", fast)

    with capture_logs() as lines:
        outbox.forward(LIFETIME - 450)

    assert [(one["event"], one["sink"]) for one in lines] == [("events_lost", "slow")]
    deliveries.deliver("slow", slow)
    assert (fast.got, slow.got) == ([b"0", b"1"], [b"1"])
