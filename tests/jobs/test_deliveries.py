"""Delivery of events: in order, at least once, each sink by itself; and what is told of it."""

import threading
from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event
from tams_gateway.events.sink import EventSink
from tams_gateway.jobs.deliveries import Deliveries
from tams_gateway.operations import sinks
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.changes import Emit
from tams_gateway.testing.waiting import eventually
from tests.in_memory import Clock


class Sink:
    """Notes what it gets, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.got: list[bytes] = []
        self.failures = failures

    def deliver(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("receiver on fire")
        self.got += [event.body for event in events]

    def check(self) -> Health:
        return Health(True, "fine")

    def close(self) -> None:
        """Nothing is held."""


class Follower(Sink):
    """Notes what it is told; `fails` makes it raise, `hangs` makes it wait."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []
        self.fails = False
        self.health = Health(True, "fine")
        self.hangs = threading.Event()
        self.hangs.set()

    def activate(self, active: bool) -> None:
        self.hangs.wait()
        if self.fails:
            raise RuntimeError("engine on fire")
        if not self.told or self.told[-1] != active:
            self.told.append(active)

    def wake(self) -> None:
        self.told.append("wake")

    def check(self) -> Health:
        return self.health


def deliveries(gateway: Gateway, named: Mapping[str, EventSink]) -> tuple[Gateway, Deliveries]:
    gateway = replace(gateway, sinks=named)
    return gateway, Deliveries(gateway)


def found(gateway: Gateway) -> dict[str, str]:
    """Return what is told of the sinks that are not well."""
    return {name: one.detail for name, one in sinks.health(gateway) if not one.ok}


def _emit(gateway: Gateway, first: int, count: int) -> list[bytes]:
    bodies = [b'{"n":%d}' % number for number in range(first, first + count)]
    events = [Event("flows/updated", gateway.now_ns(), body) for body in bodies]
    gateway.metadata.apply([Emit(events)])
    return bodies


def test_every_event_comes_in_order(gateway: Gateway) -> None:
    sink = Sink()
    _, delivering = deliveries(gateway, {"sink": sink})
    expected = _emit(gateway, 0, 250) + _emit(gateway, 250, 10)

    while delivering.deliver("sink", sink):
        pass

    assert expected == sink.got


def test_an_event_that_was_not_delivered_comes_again(gateway: Gateway) -> None:
    sink = Sink(failures=1)
    _, delivering = deliveries(gateway, {"sink": sink})
    expected = _emit(gateway, 0, 3)

    with pytest.raises(RuntimeError):
        delivering.deliver("sink", sink)
    assert delivering.deliver("sink", sink)

    assert expected == sink.got


def test_another_process_goes_on_where_the_first_stopped(gateway: Gateway) -> None:
    first, second = Sink(), Sink()
    _emit(gateway, 0, 3)
    deliveries(gateway, {"sink": first})[1].deliver("sink", first)
    expected = _emit(gateway, 3, 2)

    deliveries(gateway, {"sink": second})[1].deliver("sink", second)

    assert expected == second.got


def test_a_sink_that_fails_holds_up_no_other_and_is_told_of(gateway: Gateway) -> None:
    good, bad = Sink(), Sink(failures=1000)
    gateway, delivering = deliveries(gateway, {"good": good, "bad": bad})
    delivering.start()
    delivering.activate(True)

    expected = _emit(gateway, 0, 5)
    delivering.wake()

    assert eventually(lambda: good.got == expected)
    assert eventually(lambda: "bad" in found(gateway))
    told = found(gateway)
    delivering.stop(5)
    assert not bad.got
    assert told.keys() == {"bad"}
    assert "receiver on fire" in told["bad"]


def test_a_sink_that_works_again_is_well(gateway: Gateway) -> None:
    sink = Sink(failures=1)
    gateway, delivering = deliveries(gateway, {"sink": sink})
    delivering.start()
    delivering.activate(True)
    _emit(gateway, 0, 1)
    delivering.wake()

    assert eventually(lambda: "sink" in found(gateway))
    assert eventually(lambda: not found(gateway))
    delivering.stop(5)


def test_a_sink_that_is_behind_is_told_of(gateway: Gateway, clock: Clock) -> None:
    """By the age of the oldest event that it has not got; so one that hangs is found."""
    gateway, delivering = deliveries(gateway, {"sink": Sink()})
    _emit(gateway, 0, 1)
    assert not found(gateway)

    clock.forward(121)

    assert found(gateway) == {"sink": "121 s behind"}
    delivering.deliver("sink", Sink())
    assert not found(gateway)


def test_a_sink_that_follows_the_outbox_is_told_when_this_process_is_at_work(
    gateway: Gateway,
) -> None:
    sink = Follower()
    _, delivering = deliveries(gateway, {"sink": sink})
    delivering.start()
    assert eventually(lambda: sink.told == [False])

    delivering.activate(True)
    assert eventually(lambda: True in sink.told)
    delivering.activate(False)
    assert eventually(lambda: sink.told[-1] is False or sink.told[-2:] == [False, "wake"])
    delivering.activate(True)
    assert eventually(lambda: sink.told.count(True) == 2)
    delivering.stop(5)

    assert [one for one in sink.told if one != "wake"] == [False, True, False, True, False]


def test_a_sink_that_follows_says_what_is_wrong_with_it(gateway: Gateway) -> None:
    sink = Follower()
    sink.health = Health(False, "deliveries wait")
    gateway, delivering = deliveries(gateway, {"sink": sink})
    delivering.start()
    delivering.activate(True)

    assert eventually(lambda: found(gateway).get("sink", "").endswith(": deliveries wait"))
    delivering.stop(5)


def test_a_sink_that_follows_and_fails_or_hangs_is_told_of(gateway: Gateway, clock: Clock) -> None:
    good, bad = Follower(), Follower()
    gateway, delivering = deliveries(gateway, {"good": good, "bad": bad})
    bad.fails = True
    delivering.start()
    delivering.activate(True)
    assert eventually(lambda: "engine on fire" in found(gateway).get("bad", ""))
    bad.fails = False
    assert eventually(lambda: not found(gateway))

    bad.hangs.clear()
    clock.forward(125)

    assert eventually(lambda: found(gateway).keys() == {"bad"})
    assert "gives no sign" in found(gateway)["bad"]
    bad.hangs.set()
    assert eventually(lambda: not found(gateway))
    delivering.stop(5)
