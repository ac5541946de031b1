"""Delivery to webhooks, seen from receivers: all of it, in order, whatever they do."""

import threading
import time
from pathlib import Path

import pytest
from tams_gateway_events.state import CURSOR, DELIVERY, PREFIX

from tams_gateway.settings import load
from tams_gateway.storage.changes import Delete
from tams_gateway.storage.query import Query
from tams_gateway.testing.waiting import eventually
from tests.deployments import in_process

from .conftest import Open, Site, config
from .receiver import Answer, Receiver, numbers


def test_events_come_in_order_with_the_api_key(site: Site) -> None:
    """R-WHK-04, R-WHK-22."""
    with Receiver() as receiver:
        webhook_id = site.register(
            receiver.url,
            events=["flows/created", "flows/segments_added"],
            api_key_name="X-Key",
            api_key_value="hush",
        )
        flow_id = site.ingest.flow()
        site.add(flow_id, 0, 20)

        assert eventually(lambda: len(receiver.accepted) >= 21)
        assert site.webhook(webhook_id)["status"] == "started"

    first, *rest = receiver.accepted
    assert first.json["event_type"] == "flows/created"
    assert first.json["event"]["flow"]["id"] == flow_id
    assert numbers(rest) == list(range(20))
    assert {one.headers["x-key"] for one in receiver.met} == {"hush"}
    assert first.headers["content-type"] == "application/json"
    assert first.headers["user-agent"].startswith("tams-gateway/")
    assert first.path == "/hook"


def test_only_what_was_asked_for_comes(site: Site) -> None:
    """R-WHK-14, R-WHK-15."""
    wanted, other = site.ingest.flow(), site.ingest.flow()
    source_id = site.ingest.document(other)["source_id"]
    with Receiver() as by_flow, Receiver() as by_source:
        site.register(by_flow.url, flow_ids=[wanted])
        site.register(by_source.url, source_ids=[source_id])
        for at in range(5):
            site.add(other, at)
            site.add(wanted, at)

        assert eventually(lambda: len(by_flow.accepted) == len(by_source.accepted) == 5)

    assert {one.json["event"]["flow_id"] for one in by_flow.met} == {wanted}
    assert {one.json["event"]["flow_id"] for one in by_source.met} == {other}


def test_a_failure_is_repeated_before_what_comes_behind_it(site: Site) -> None:
    """R-WHK-23, R-WHK-24."""
    failures = iter([500, 0, 302, 404, 429])
    flow_id = site.ingest.flow()
    with Receiver(lambda _: Answer(next(failures, 200))) as receiver:
        webhook_id = site.register(receiver.url)
        site.add(flow_id, 0, 3)
        assert eventually(lambda: len(receiver.accepted) == 3)
        assert eventually(lambda: len(site.deliveries(webhook_id)) == 8)

    assert numbers(receiver.met) == [0, 0, 0, 0, 0, 0, 1, 2]
    attempts = site.deliveries(webhook_id)[::-1]
    assert [one["attempt"] for one in attempts] == [1, 2, 3, 4, 5, 6, 1, 1]
    assert [one.get("status") for one in attempts] == [500, None, 302, 404, 429, 200, 200, 200]
    assert "closed connection" in attempts[1]["error"]
    assert [one["delivered"] for one in attempts] == [False] * 5 + [True] * 3
    assert site.webhook(webhook_id)["status"] == "started"


def test_retry_after_is_waited_for(open_site: Open) -> None:
    site = open_site()
    times: list[float] = []

    def behave(_: object) -> Answer:
        times.append(time.monotonic())
        return Answer(503, {"Retry-After": "1"}) if len(times) == 1 else Answer()

    with Receiver(behave) as receiver:
        site.register(receiver.url)
        site.add(site.ingest.flow(), 0)
        assert eventually(lambda: receiver.accepted)

    assert times[1] - times[0] >= 1.0


def test_slow_and_dead_receivers_delay_no_other(open_site: Open) -> None:
    """Not even when they have more webhooks than there are threads."""
    site = open_site(threads=8, per_receiver=3, timeout=2)
    flow_id = site.ingest.flow()
    with Receiver(lambda _: Answer(pause=60)) as slow, Receiver() as good:
        dead = Receiver()
        dead.close()
        for _ in range(6):
            site.register(slow.url)
            site.register(dead.url)
        site.register(good.url)
        began = time.monotonic()
        for at in range(20):
            site.add(flow_id, at)
            assert eventually(lambda at=at: len(good.accepted) == at + 1, 2)  # type: ignore[misc]
        taken = time.monotonic() - began
        assert taken < 10
        assert slow.most_at_once == 3
        assert not slow.accepted
    assert numbers(good.accepted) == list(range(20))


def test_a_webhook_that_fails_for_long_is_given_up_and_can_go_on(open_site: Open) -> None:
    """R-WHK-24, R-WHK-08: with the event that failed."""
    site = open_site("asgi", "sqlite", give_up_after=0.3)
    flow_id = site.ingest.flow()
    with Receiver(lambda _: Answer(500)) as receiver:
        webhook_id = site.register(receiver.url)
        site.add(flow_id, 0, 2)
        assert eventually(lambda: site.webhook(webhook_id)["status"] == "error")
        error = site.webhook(webhook_id)["error"]
        assert "the receiver answered 500" in error["summary"]
        assert error["type"] == "delivery_failed"
        assert error["time"].endswith("Z")
        met = len(receiver.met)
        site.add(flow_id, 2)

        receiver.behaviour = lambda _: Answer()
        assert not eventually(lambda: receiver.accepted, 0.5)
        assert len(receiver.met) == met
        site.put(webhook_id)

        assert eventually(lambda: len(receiver.accepted) == 3)
        assert numbers(receiver.accepted) == [0, 1, 2]
        assert "error" not in site.webhook(webhook_id)


def test_a_disabled_webhook_hears_nothing_of_what_happens_meanwhile(site: Site) -> None:
    """R-WHK-08."""
    flow_id = site.ingest.flow()
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url, status="disabled")
        site.add(flow_id, 0)
        site.put(webhook_id)
        site.add(flow_id, 1)
        assert eventually(lambda: receiver.accepted)
        site.put(webhook_id, status="disabled")
        site.add(flow_id, 2)
        site.put(webhook_id)
        site.add(flow_id, 3)
        assert eventually(lambda: len(receiver.accepted) == 2)
    assert numbers(receiver.met) == [1, 3]


def test_a_deleted_webhook_hears_nothing_more(site: Site) -> None:
    """R-WHK-10: also of what happened before, and nothing is left of it."""
    flow_id = site.ingest.flow()
    with Receiver(lambda _: Answer(pause=0.05)) as receiver:
        webhook_id = site.register(receiver.url)
        site.add(flow_id, 0, 10)
        assert eventually(lambda: receiver.accepted)
        assert site.client.delete(f"/service/webhooks/{webhook_id}").status == 204
        time.sleep(0.06)  # What was on its way arrives.
        met = len(receiver.met)
        site.add(flow_id, 10, 2)
        assert not eventually(lambda: len(receiver.met) > met, 0.5)
    assert met < 10


def test_nothing_is_left_of_a_webhook_that_is_deleted(open_site: Open) -> None:
    """Also where it rested, or nobody was at work; R-WHK-10."""
    site = open_site(give_up_after=0.1)
    flow_id = site.ingest.flow()
    with Receiver(lambda _: Answer(500)) as receiver:
        resting = site.register(receiver.url)
        site.add(flow_id, 0)
        assert eventually(lambda: site.webhook(resting)["status"] == "error")
        receiver.behaviour = lambda _: Answer()
        running = site.register(receiver.url)
        site.add(flow_id, 1)
        assert eventually(lambda: sum(running in one for one in left(site)) == 2)

        assert site.client.delete(f"/service/webhooks/{running}").status == 204
        assert eventually(lambda: not any(running in one for one in left(site)))
        assert site.client.delete(f"/service/webhooks/{resting}").status == 204
        [sink] = site.deployment.assembly.sinks.values()
        sink.activate(False)  # type: ignore[attr-defined]
        assert eventually(lambda: not left(site))


def left(site: Site) -> list[str]:
    """Return the ids of the records that the sink keeps."""
    kinds = (CURSOR, DELIVERY)
    found = [one.id for kind in kinds for one in site.metadata.find(Query(kind)).items]
    return [one for one in found if one not in ("webhook", "outbox")]


def test_a_changed_webhook_is_used_as_it_is_now(site: Site) -> None:
    """R-WHK-06: no event is lost or comes again."""
    flow_id = site.ingest.flow()
    with Receiver() as before, Receiver() as after:
        webhook_id = site.register(before.url)
        site.add(flow_id, 0, 10)
        site.put(webhook_id, url=after.url)
        site.add(flow_id, 10, 10)
        assert eventually(lambda: len(before.accepted) + len(after.accepted) == 20)
    assert numbers(before.met + after.met) == list(range(20))
    assert 10 <= len(after.met)


def test_a_change_of_a_failing_webhook_is_tried_at_once(open_site: Open) -> None:
    site = open_site(retry_first=60)
    with Receiver(lambda _: Answer(500)) as bad, Receiver() as good:
        webhook_id = site.register(bad.url)
        site.add(site.ingest.flow(), 0)
        assert eventually(lambda: bad.met)
        site.put(webhook_id, url=good.url)
        assert eventually(lambda: good.accepted, 3)


def test_a_new_process_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    """Nothing comes twice after an orderly end, and no pause is forgotten."""
    settings = load(config(tmp_path, "sqlite", {}), {})
    with Receiver() as receiver:
        with in_process("wsgi", settings, []) as deployment:
            site = Site(deployment)
            webhook_id = site.register(receiver.url)
            flow_id = site.ingest.flow()
            site.add(flow_id, 0, 5)
            assert eventually(lambda: len(receiver.accepted) == 5)
            receiver.behaviour = lambda _: Answer(pause=60)
            site.add(flow_id, 5, 5)
            assert eventually(lambda: len(receiver.met) == 6)
            began = time.monotonic()
        assert time.monotonic() - began < 4
        receiver.behaviour = lambda _: Answer()
        with in_process("wsgi", settings, []) as deployment:
            assert eventually(lambda: len(receiver.accepted) == 10)
            after = Site(deployment)
            assert eventually(lambda: after.deliveries(webhook_id)[0]["id"] == "10")
    assert numbers(receiver.accepted) == list(range(10))


def test_after_a_restore_a_webhook_hears_what_the_outbox_holds(site: Site) -> None:
    """Its place is that of another store, and is not kept in a backup."""
    flow_id = site.ingest.flow()
    with Receiver() as receiver:
        webhook_id = site.register(receiver.url)
        site.add(flow_id, 0, 2)
        assert eventually(lambda: len(receiver.accepted) == 2)
        site.deployment.assembly._runner.stop()

        site.metadata.apply([Delete(CURSOR, PREFIX + webhook_id)])
        [sink] = site.deployment.assembly.sinks.values()
        sink.activate(True)  # type: ignore[attr-defined]
        assert eventually(lambda: len(receiver.accepted) == 4)
    assert numbers(receiver.accepted) == [0, 1, 0, 1]


def test_only_the_process_at_work_delivers(open_site: Open) -> None:
    """The others take over what is stored, and events of all of them are heard."""
    first, second = (open_site("wsgi", "sqlite") for _ in range(2))
    flow_id = first.ingest.flow()
    with Receiver() as receiver:
        first.register(receiver.url)
        for at in range(10):
            (first, second)[at % 2].add(flow_id, at)
        assert eventually(lambda: len(receiver.accepted) == 10)
        assert not eventually(lambda: len(receiver.met) > 10, 0.3)
    assert numbers(receiver.accepted) == list(range(10))


def test_two_processes_at_work_lose_nothing(open_site: Open) -> None:
    """It happens where one slept while the lease went on: events come twice, and in order."""
    first, second = (open_site("wsgi", "sqlite") for _ in range(2))
    flow_id = first.ingest.flow()
    with Receiver() as receiver:
        first.register(receiver.url)
        sinks = [sink for one in (first, second) for sink in one.deployment.assembly.sinks.values()]
        for at in range(0, 30, 5):
            for sink in sinks:
                sink.activate(True)  # type: ignore[attr-defined]
            first.add(flow_id, at, 5)
            assert eventually(lambda at=at: at + 4 in numbers(receiver.accepted))  # type: ignore[misc]
    assert list(dict.fromkeys(numbers(receiver.accepted))) == list(range(30))


def test_many_webhooks_each_get_everything(open_site: Open) -> None:
    site = open_site(threads=8)
    flow_id = site.ingest.flow()
    with Receiver() as receiver:
        ids = [site.register(f"{receiver.url}/{number}") for number in range(40)]
        site.add(flow_id, 0, 5)
        assert eventually(lambda: len(receiver.accepted) == 200)
    for number in range(len(ids)):
        mine = [one for one in receiver.met if one.path == f"/hook/{number}"]
        assert numbers(mine) == list(range(5))
    assert receiver.most_at_once <= 4


def test_a_store_that_is_away_for_a_while_loses_nothing(
    open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tams_gateway.storage.errors import StoreError

    site = open_site()
    store = site.metadata
    away = threading.Event()
    apply, events = store.apply, store.events

    def fail_or(method: object) -> object:
        def call(*arguments: object) -> object:
            if away.is_set() and threading.current_thread().name.startswith("webhook"):
                raise StoreError("away; wait")
            return method(*arguments)  # type: ignore[operator]

        return call

    monkeypatch.setattr(store, "apply", fail_or(apply))
    monkeypatch.setattr(store, "events", fail_or(events))
    flow_id = site.ingest.flow()
    with Receiver() as receiver:
        site.register(receiver.url)
        site.add(flow_id, 0, 3)
        assert eventually(lambda: len(receiver.accepted) == 3)
        away.set()
        site.add(flow_id, 3, 3)
        [sink] = site.deployment.assembly.sinks.values()
        assert eventually(lambda: not sink.check().ok)
        away.clear()
        assert eventually(lambda: len(receiver.accepted) == 6)
        assert eventually(lambda: sink.check().ok)
    assert numbers(receiver.accepted) == list(range(6))
