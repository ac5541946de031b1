"""Delivery of events: in order, at least once, each sink by itself, and forgotten behind all."""

import threading
from collections.abc import Sequence

import pytest

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event
from tams_gateway.jobs.deliveries import Deliveries
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.changes import Emit


class Sink:
    """Notes what it gets, and fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.got: list[bytes] = []
        self.failures = failures
        self.all_there = threading.Event()
        self.wanted = 0

    def deliver(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("receiver on fire")
        self.got += [event.body for event in events]
        if len(self.got) >= self.wanted:
            self.all_there.set()

    def check(self) -> Health:
        return Health(True, "fine")

    def close(self) -> None:
        """Nothing is held."""


def _emit(gateway: Gateway, first: int, count: int) -> list[bytes]:
    bodies = [b'{"n":%d}' % number for number in range(first, first + count)]
    events = [Event("flows/updated", 0, body) for body in bodies]
    gateway.metadata.apply([Emit(events)])
    return bodies


def test_every_event_comes_in_order(gateway: Gateway) -> None:
    sink = Sink()
    deliveries = Deliveries(gateway.metadata, {"sink": sink})
    expected = _emit(gateway, 0, 250) + _emit(gateway, 250, 10)

    while deliveries.deliver("sink", sink):
        pass

    assert expected == sink.got


def test_an_event_that_was_not_delivered_comes_again(gateway: Gateway) -> None:
    sink = Sink(failures=1)
    deliveries = Deliveries(gateway.metadata, {"sink": sink})
    expected = _emit(gateway, 0, 3)

    with pytest.raises(RuntimeError):
        deliveries.deliver("sink", sink)
    assert deliveries.deliver("sink", sink)

    assert expected == sink.got


def test_another_process_goes_on_where_the_first_stopped(gateway: Gateway) -> None:
    first, second = Sink(), Sink()
    _emit(gateway, 0, 3)
    Deliveries(gateway.metadata, {"sink": first}).deliver("sink", first)
    expected = _emit(gateway, 3, 2)

    Deliveries(gateway.metadata, {"sink": second}).deliver("sink", second)

    assert expected == second.got


def test_events_are_forgotten_when_every_sink_has_them(gateway: Gateway) -> None:
    fast, slow = Sink(), Sink()
    deliveries = Deliveries(gateway.metadata, {"fast": fast, "slow": slow})
    _emit(gateway, 0, 3)

    deliveries.deliver("fast", fast)
    assert len(gateway.metadata.events(None, 10).items) == 3

    deliveries.deliver("slow", slow)
    assert not gateway.metadata.events(None, 10).items


def test_a_sink_that_fails_holds_up_no_other(gateway: Gateway) -> None:
    good, bad = Sink(), Sink(failures=1000)
    good.wanted = 5
    deliveries = Deliveries(gateway.metadata, {"good": good, "bad": bad})
    deliveries.start()
    deliveries.activate(True)

    expected = _emit(gateway, 0, 5)
    deliveries.wake()

    assert good.all_there.wait(10)
    deliveries.stop(5)
    assert expected == good.got
    assert not bad.got
