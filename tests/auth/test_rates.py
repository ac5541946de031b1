"""Token buckets: how often somebody may call, and fail to log in."""

import pytest

from tams_gateway.auth import rates
from tams_gateway.auth.rates import Buckets, Failures, Rates, RateSettings
from tams_gateway.domain.errors import TooManyRequests


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_bucket_holds_the_burst_and_refills_evenly(clock: Clock) -> None:
    buckets = Buckets(4, 8, clock)
    assert [buckets.take("a") for _ in range(8)] == [0] * 8
    assert buckets.take("a") == pytest.approx(0.25)
    assert buckets.wait("a") == pytest.approx(0.25)
    assert buckets.take("b") == 0
    clock.at += 0.5
    assert buckets.wait("a") == 0
    assert [buckets.take("a") for _ in range(2)] == [0, 0]
    assert buckets.take("a") > 0
    clock.at += 1000
    assert [buckets.take("a") for _ in range(8)] == [0] * 8
    assert buckets.take("a") > 0


def test_memory_is_bounded_and_who_called_most_is_remembered(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MOST", 100)
    buckets = Buckets(1, 2, clock)
    buckets.take("busy")
    buckets.take("busy")
    for number in range(1000):
        buckets.take(str(number))
        assert len(buckets._full_at) <= 100
    assert buckets.take("busy") > 0


def test_rates_are_off_by_default(clock: Clock) -> None:
    unbounded = Rates(RateSettings(), clock)
    assert not unbounded.on
    for _ in range(1000):
        unbounded.check("anybody")


def test_who_is_too_fast_is_told_when_to_come_again(clock: Clock) -> None:
    bounded = Rates(RateSettings(requests_per_second=0.1, burst=2), clock)
    bounded.check("a")
    bounded.check("a")
    with pytest.raises(TooManyRequests) as caught:
        bounded.check("a")
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "10"})
    bounded.check("b")


def test_an_address_with_ten_wrong_logins_waits(clock: Clock) -> None:
    failures = Failures(10, clock)
    for number in range(10):
        failures.check("::1", number)
        assert failures.failed("::1", number, guess=True)
    with pytest.raises(TooManyRequests) as caught:
        failures.check("::1", 10)
    assert caught.value.headers == {"Retry-After": "6"}
    failures.check("::2", 10)
    clock.at += 6.1
    failures.check("::1", 10)
    failures.failed("::1", 10, guess=True)
    with pytest.raises(TooManyRequests):
        failures.check("::1", 11)


def test_credentials_that_were_right_pass_beside_an_attacker(clock: Clock) -> None:
    failures = Failures(1, clock)
    failures.passed(7)
    failures.failed("::1", 1, guess=True)
    failures.check("::1", 7)
    with pytest.raises(TooManyRequests):
        failures.check("::1", 8)
    # Until they are wrong: a password that was changed may be guessed as any other.
    failures.failed("::1", 7, guess=True)
    with pytest.raises(TooManyRequests):
        failures.check("::1", 7)


def test_the_same_wrong_credentials_are_one_guess_and_an_expired_token_none(clock: Clock) -> None:
    failures = Failures(2, clock)
    assert failures.failed("::1", 1, guess=True)
    assert not any(failures.failed("::1", 1, guess=True) for _ in range(100))
    assert all(failures.failed("::1", number, guess=False) for number in range(2, 100))
    failures.check("::1", 5)
    clock.at += 601
    assert failures.failed("::1", 1, guess=True)


def test_what_is_remembered_of_logins_is_bounded(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MOST", 10)
    failures = Failures(10, clock)
    for number in range(100):
        failures.passed(number)
        failures.failed(str(number), -number, guess=True)
        assert len(failures._right) <= 10
        assert len(failures._wrong) <= 10
