"""The lease: one holder at a time, taken over when it dies, and no commit by one that slept."""

import pytest

from tams_gateway.jobs.lease import LENGTH_NS, Lease
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import CURSOR
from tams_gateway.storage.changes import Put
from tams_gateway.storage.errors import ConflictError
from tests.in_memory import Clock


def test_one_process_holds_the_lease(gateway: Gateway, lease: Lease, clock: Clock) -> None:
    assert not Lease("jobs", gateway.metadata, clock.now_ns, clock.now_ns).acquire()
    assert lease.acquire()


def test_a_lease_that_is_not_renewed_is_taken_over_within_fifteen_seconds(
    gateway: Gateway, lease: Lease, clock: Clock
) -> None:
    other = Lease("jobs", gateway.metadata, clock.now_ns, clock.now_ns)

    clock.forward(14)

    assert LENGTH_NS < 15 * 10**9
    assert other.acquire()
    assert not lease.acquire()


def test_a_renewed_lease_is_kept(gateway: Gateway, lease: Lease, clock: Clock) -> None:
    other = Lease("jobs", gateway.metadata, clock.now_ns, clock.now_ns)
    for _ in range(10):
        clock.forward(4)
        assert lease.acquire()
        assert not other.acquire()


def test_a_released_lease_is_free_at_once(gateway: Gateway, lease: Lease, clock: Clock) -> None:
    lease.release()

    assert Lease("jobs", gateway.metadata, clock.now_ns, clock.now_ns).acquire()


def test_a_holder_that_slept_past_its_lease_commits_nothing(
    gateway: Gateway, lease: Lease, clock: Clock
) -> None:
    expected = lease.expected()
    clock.forward(20)
    assert Lease("jobs", gateway.metadata, clock.now_ns, clock.now_ns).acquire()

    with pytest.raises(ConflictError):
        gateway.metadata.apply([expected, Put(CURSOR, "late", b"{}")])

    assert not gateway.metadata.get(CURSOR, ["late"])


def test_leases_of_other_names_are_apart(gateway: Gateway, lease: Lease, clock: Clock) -> None:
    assert Lease("copies", gateway.metadata, clock.now_ns, clock.now_ns).acquire()
    assert lease.acquire()


def test_a_clock_set_back_does_not_keep_a_lease_for_ever(
    gateway: Gateway, lease: Lease, clock: Clock
) -> None:
    elapsed = Clock()
    other = Lease("jobs", gateway.metadata, clock.now_ns, elapsed.now_ns)

    clock.forward(-3600)

    assert not other.acquire()
    elapsed.forward(9)
    assert other.acquire()


def test_a_clock_set_back_takes_the_lease_from_nobody_who_renews_it(
    gateway: Gateway, clock: Clock
) -> None:
    elapsed = Clock()
    holder, other = (
        Lease("jobs", gateway.metadata, clock.now_ns, elapsed.now_ns) for _ in range(2)
    )
    assert holder.acquire()
    clock.forward(-3600)
    for _ in range(10):
        elapsed.forward(4)
        clock.forward(4)
        assert holder.acquire()
        assert not other.acquire()
