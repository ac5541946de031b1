"""Passwords: their hashes, how long a right one is remembered, how many are verified at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tams_gateway_auth import passwords
from tams_gateway_auth.passwords import LONGEST, Passwords, is_hash

from tams_gateway.storage.errors import StoreError


def cheap(parallel: int = 1) -> Passwords:
    return Passwords(32, 1, parallel)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_a_hash_fits_its_password_alone(password: str, other: str) -> None:
    ours = cheap()
    hash_ = ours.hash(password)
    assert is_hash(hash_)
    assert password not in hash_ or len(password) < 4
    assert ours.verify(password, hash_)
    assert ours.verify(other, hash_) == (other == password)


def test_a_text_that_is_no_utf_8_fits_nothing() -> None:
    assert not cheap().verify("\ud800", cheap().hash("secret"))


def test_no_password_fits_the_hash_of_nobody() -> None:
    ours = cheap()
    assert not ours.verify("", "")
    assert not ours.verify("secret", "")


@pytest.mark.parametrize("password", ["", "a" * (LONGEST + 1)])
def test_an_empty_and_a_very_long_password_are_refused(password: str) -> None:
    ours = cheap()
    with pytest.raises(ValueError, match="1 to 1024 characters"):
        ours.hash(password)
    assert not ours.verify(password, ours.hash("secret"))


def test_only_hashes_of_argon2id_are_hashes() -> None:
    assert not is_hash("secret")
    assert not is_hash(argon2.PasswordHasher(1, 32, 4, type=argon2.Type.I).hash("secret"))


def test_a_right_password_is_remembered_for_a_minute_and_a_wrong_one_never() -> None:
    now = [0.0]
    ours = Passwords(32, 1, elapsed=lambda: now[0])
    hash_ = ours.hash("secret")
    ours.verify("wrong", hash_)
    ours.verify("secret", hash_)
    assert not ours.remembers("wrong", hash_)
    assert not ours.remembers("secret", ours.hash("secret")), "another hash, another entry"
    now[0] = 59.9
    assert ours.remembers("secret", hash_)
    ours.verify("secret", hash_)
    now[0] = 60.0
    assert not ours.remembers("secret", hash_), "use does not make it longer"


def test_the_memory_of_passwords_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MOST", 2)
    now = [0.0]
    ours = Passwords(32, 1, elapsed=lambda: now[0])
    hashes = [ours.hash("secret") for _ in range(3)]
    known = []
    for now[0] in (0.0, 61.0):
        for hash_ in hashes:
            assert ours.verify("secret", hash_)
        known.append([ours.remembers("secret", hash_) for hash_ in hashes])
    assert known == [[True, True, False]] * 2


def test_only_so_many_are_verified_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = cheap(parallel=2)
    at_work: list[int] = []
    most = 0
    both = threading.Barrier(2)

    def fits(*_: str) -> bool:
        nonlocal most
        at_work.append(1)
        most = max(most, len(at_work))
        both.wait(30)
        at_work.pop()
        return False

    monkeypatch.setattr(ours, "_fits", fits)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ours.verify(f"{number}", "hash"), range(8)))
    assert most == 2


def test_those_who_bring_the_same_password_at_once_wait_for_one_verification(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = cheap()
    hash_ = ours.hash("secret")
    calls = []
    fits = ours._fits
    monkeypatch.setattr(ours, "_fits", lambda *pair: calls.append(pair) or fits(*pair))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: ours.verify("secret", hash_), range(8)))
    assert len(calls) == 1


def test_who_waits_too_long_for_a_turn_is_told_that_it_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "_PATIENCE", 0.01)
    ours = cheap()
    begun, free = threading.Event(), threading.Event()
    monkeypatch.setattr(ours, "_fits", lambda *_: begun.set() or free.wait(30))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ours.verify, "secret", "hash")
        assert begun.wait(30)
        with pytest.raises(StoreError, match="too many logins at once"):
            ours.verify("other", "hash")
        free.set()
        assert first.result()


def test_the_hash_of_nobody_costs_as_much_as_one_that_is_made() -> None:
    costly = Passwords(8192, 2)
    hash_ = costly.hash("secret")

    def span(against: str) -> float:
        started = time.perf_counter()
        costly.verify("wrong", against)
        return time.perf_counter() - started

    nobody, somebody = (min(span(one) for _ in range(7)) for one in ("", hash_))
    assert 1 / 3 < nobody / somebody < 3
