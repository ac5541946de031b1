"""While a backup is made nobody deletes bytes; and nobody waits for one that has died."""

import threading

import pytest
import structlog

from tams_gateway.domain.media_object import Instance
from tams_gateway.domain.timerange import SECOND
from tams_gateway.jobs import collection, copies, hold
from tams_gateway.jobs.hold import COLLECTION, COPIES, Hold, lease_for_deletion
from tams_gateway.jobs.lease import LENGTH_NS, Lost
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import HOLD, LEASE
from tams_gateway.storage.errors import StoreError
from tams_gateway.testing.waiting import eventually
from tests.in_memory import MAIN, Clock

from .conftest import keep

Log = structlog.typing.FilteringBoundLogger


def _uploads(gateway: Gateway) -> int:
    return int(gateway.backends[MAIN].store.check().detail.split()[1])


def test_collection_and_copies_give_way_to_a_hold_and_go_on_behind_it(gateway: Gateway) -> None:
    leases = [lease_for_deletion(name, gateway) for name in (COLLECTION, COPIES)]
    with Hold(gateway) as held:
        assert not any(lease.acquire() for lease in leases)
        held.check()
    assert all(lease.acquire() for lease in leases)


def test_a_hold_waits_for_those_who_delete_until_they_see_it(gateway: Gateway) -> None:
    """Also for one whose lease is so fresh that it needs no renewal."""
    deleting = lease_for_deletion(COLLECTION, gateway)
    assert deleting.acquire()
    entered = threading.Event()

    def back_up() -> None:
        with Hold(gateway):
            entered.set()

    thread = threading.Thread(target=back_up)
    thread.start()
    assert eventually(lambda: HOLD in gateway.metadata.get(LEASE, [HOLD]))
    assert not entered.wait(0.2)
    with pytest.raises(Lost):
        deleting.keep()
    assert entered.wait(5)
    thread.join()


def test_a_collector_that_meets_a_hold_deletes_nothing(
    gateway: Gateway, clock: Clock, log: Log
) -> None:
    keep(gateway, state="collected", expires=clock.ns - 1)
    lease = lease_for_deletion(COLLECTION, gateway)
    with Hold(gateway), pytest.raises(Lost):
        collection.collect(gateway, lease, log)
    assert _uploads(gateway) == 1
    assert lease.acquire()
    assert collection.collect(gateway, lease, log)
    assert _uploads(gateway) == 0


def test_a_withdrawn_instance_outlasts_a_hold(gateway: Gateway, clock: Clock, log: Log) -> None:
    gone = Instance(storage_id=MAIN, key="2023/one.ts", state="withdrawn")
    keep(gateway, state="registered", uses=1, instances=(gone,), due=clock.ns)
    lease = lease_for_deletion(COPIES, gateway)
    with Hold(gateway):
        assert not lease.acquire()
        assert _uploads(gateway) == 1
    assert lease.acquire()
    assert copies.settle(gateway, lease, log)
    assert _uploads(gateway) == 0


def test_one_backup_at_a_time(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "_PATIENCE", 0.1)
    with Hold(gateway), pytest.raises(StoreError, match="at work on this store; try again"):
        Hold(gateway).__enter__()
    with Hold(gateway):
        pass


def test_a_hold_of_a_backup_that_died_ends_by_itself(gateway: Gateway, clock: Clock) -> None:
    died = Hold(gateway)
    assert all(lease.acquire() for lease in died._leases)
    lease = lease_for_deletion(COLLECTION, gateway)
    assert not lease.acquire()
    clock.forward(LENGTH_NS / SECOND + 1)
    assert lease.acquire()


def test_a_hold_that_could_not_be_renewed_says_so(gateway: Gateway) -> None:
    with Hold(gateway) as held:
        held.check()
        held._kept -= LENGTH_NS / 1e9 + 1
        with pytest.raises(StoreError, match="begin again"):
            held.check()
