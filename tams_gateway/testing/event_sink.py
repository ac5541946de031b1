"""The contract of event sinks: what the gateway relies on, a test for each promise.

`tams_gateway.testing.suite` runs it on any plugin. A test of a plugin's own may inherit it, too,
and gives the fixture `opener`, and `delivered` where it can tell what arrived.
"""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, get_args

import pytest

from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event, EventType
from tams_gateway.events.sink import DeliversWebhooks, EventSink, FollowsOutbox
from tams_gateway.testing.faults import descriptors, growth
from tams_gateway.testing.opening import Opener
from tams_gateway.testing.samples import flow, new_id

_PATIENCE: Final = 10.0
"""How long a sink may take for what must not wait for anybody, in seconds."""


def events(count: int, text: str = "") -> Sequence[Event]:
    """Return events of every type in turn, each told apart by its time."""
    made = []
    for number in range(count):
        type_: EventType = get_args(EventType)[number % len(get_args(EventType))]
        body = json.dumps({"flow": flow(description=f"{number} {text}")}).encode()
        fields: dict[str, str | frozenset[str]] = {
            "flow_id": new_id(),
            "source_id": new_id(),
            "flow_collected_by": frozenset(),
            "source_collected_by": frozenset([new_id()]),
            "auth_classes": frozenset(["news"]),
        }
        made.append(Event(type_, 1_700_000_000_000_000_000 + number, body, fields))
    return made


class EventSinkContract:
    """Every promise of `EventSink`, and of what it supports beyond."""

    @pytest.fixture
    def sink(self, opener: Opener[EventSink]) -> Iterator[EventSink]:
        """Return the sink, open."""
        sink = opener()
        yield sink
        sink.close()

    @pytest.fixture
    def delivering(self, sink: EventSink) -> EventSink:
        """Return a sink to which the gateway delivers, or skip the clause."""
        if isinstance(sink, FollowsOutbox):
            pytest.skip("it reads the outbox itself: nobody calls deliver")
        return sink

    def test_events_of_every_type_are_taken(self, delivering: EventSink) -> None:
        """A sink that refuses one gets it again for ever, and nothing behind it (R-EVT-02)."""
        delivering.deliver(events(100))

    def test_one_event_alone_and_large_ones_are_taken(self, delivering: EventSink) -> None:
        """A thousand segments may be in one event, with any text of Unicode."""
        delivering.deliver(events(1))
        delivering.deliver(events(1, "\N{TELEVISION}\u2028\x7f" * 100_000))

    def test_events_may_come_again(self, delivering: EventSink) -> None:
        """Delivery is at least once: what was under way when a process died is repeated."""
        same = events(10)
        delivering.deliver(same)
        delivering.deliver(same)

    def test_events_that_were_deleted_with_their_source_are_taken(
        self, delivering: EventSink
    ) -> None:
        """Only the fields that apply are there: one that is missed must not break the sink."""
        delivering.deliver([Event("sources/deleted", 1, b'{"source_id":"x"}', {})])

    def test_calls_leave_nothing_open(self, delivering: EventSink) -> None:
        """A server runs for months: one file or thread for each event ends it."""
        some = events(3)
        assert {} == growth(lambda: delivering.deliver(some))

    def test_it_says_whether_it_works(self, sink: EventSink) -> None:
        """For `tams-gateway check` and `/ready`: it tells, and does not raise."""
        assert isinstance(sink.check(), Health)

    def test_closing_ends_it_and_releases_what_was_opened(self, opener: Opener[EventSink]) -> None:
        """A server that is told to end must not wait for a receiver."""

        def once() -> tuple[int, int]:
            sink = opener()
            sink.close()
            return len(descriptors()), threading.active_count()

        warm = once()
        started = time.monotonic()
        for _ in range(3):
            assert warm == once()
        assert time.monotonic() - started < _PATIENCE

    def test_it_begins_and_ends_as_it_is_told(self, sink: EventSink) -> None:
        """Of several processes one delivers; which one, may change at any time."""
        if not isinstance(sink, FollowsOutbox):
            pytest.skip("the gateway calls deliver: it reads no outbox itself")
        started = time.monotonic()
        for active in (True, True, False, False, True):
            sink.activate(active)
            sink.wake()
        sink.activate(False)
        assert time.monotonic() - started < _PATIENCE

    def test_it_judges_the_urls_of_webhooks(self, sink: EventSink) -> None:
        """The API asks it before it registers one: clients choose them (R-WHK-03, G-11)."""
        if not isinstance(sink, DeliversWebhooks):
            pytest.skip("it delivers no webhooks")
        assert sink.objection("https://example.com/hook") is None
        for url in ("ftp://example.com/", "http://", "no url", "http://169.254.169.254/latest"):
            assert sink.objection(url)

    def test_it_seals_the_keys_of_webhooks(self, sink: EventSink) -> None:
        """They are kept where backups and operators see them (R-WHK-05)."""
        if not isinstance(sink, DeliversWebhooks):
            pytest.skip("it delivers no webhooks")
        secret = "kept-from-all-eyes"
        first, second = (sink.seal(new_id(), secret) for _ in range(2))
        assert secret not in first
        assert first != second
