"""Users: logins, failures, locks, and that nobody learns who there is."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace
from tams_gateway_auth.users import (
    USERS,
    ConfiguredUser,
    User,
    Users,
    UserSettings,
    check_name,
)

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import DeniedError
from tams_gateway.plugin import Secret
from tams_gateway.storage.errors import ConflictError, StoreError
from tests.deployments import Table

CHEAP = {"memory_kib": 32, "passes": 1}


def users(desk: Any, **options: Any) -> Users:
    """Return the users of a store; `alice` is one of them, her password `secret`."""
    made = Users(desk.context, UserSettings(**{**CHEAP, **options}))
    hash_ = made.hash("secret")
    rights = frozenset({Scope.READ}), frozenset({"news"})
    made.change("alice", lambda _: User("alice", hash_, *rights))
    return made


ALICE = Principal("alice", frozenset({Scope.READ}), frozenset({"news"}))


def login(users: Users, password: str = "secret", name: str = "alice") -> Principal | None:
    """Return who is let in, None for nobody; every refusal says the same."""
    try:
        return users.verify(name, password, "10.0.0.1", "request-1")
    except DeniedError as error:
        if str(error) != "wrong name or password":
            raise
        return None


def test_a_user_gets_in_by_its_password_alone(desk: Any) -> None:
    ours = users(desk)
    assert login(ours) == ALICE
    assert [login(ours, password) for password in ("wrong", "", "Secret")] == [None] * 3
    assert [login(ours, name=name) for name in ("bob", "", "Alice", "a" * 70_000)] == [None] * 4


def test_a_login_is_noted_once_and_a_failure_each_time_without_any_secret(desk: Any) -> None:
    ours = users(desk)
    for password in ("secret", "secret", "wrong-1", "wrong-2"):
        login(ours, password)
    login(ours, "wrong-3", "nobody" * 1000)
    assert desk.actions == ["login", "failure", "failure", "failure"]
    assert {(one.peer, one.request_id) for one in desk.noted} == {("10.0.0.1", "request-1")}
    assert [one.detail for one in desk.noted] == ["", "wrong password", "wrong password", "unknown"]
    assert max(len(one.who) for one in desk.noted) == 200
    assert not any(word in repr(desk.noted) for word in ("secret", "wrong-", "argon2"))


def test_five_failures_in_a_row_lock_a_user_for_fifteen_minutes(desk: Any) -> None:
    ours = users(desk)
    for _ in range(4):
        login(ours, "wrong")
    assert login(ours) == ALICE
    for _ in range(5):
        login(ours, "wrong")
    assert desk.actions[-1] == "lock"
    desk.offset += 899
    assert login(ours) is None
    assert desk.noted[-1].detail == "locked"
    assert login(users_again(desk)) is None, "of every process"
    desk.offset += 1
    assert login(ours) == ALICE
    for _ in range(4):
        login(ours, "wrong")
    assert login(ours) == ALICE, "the count begins anew"


def users_again(desk: Any) -> Users:
    """Return the users of the same store, as another process has them."""
    return Users(desk.context, UserSettings(**CHEAP))


def test_attempts_on_a_locked_user_do_not_lock_it_for_longer(desk: Any) -> None:
    ours = users(desk, lock_after=1, lock_for=60)
    login(ours, "wrong")
    desk.offset += 59
    login(ours, "wrong")
    desk.offset += 1
    assert login(ours) == ALICE


def test_a_remembered_password_does_not_keep_failures_from_being_in_a_row(desk: Any) -> None:
    ours = users(desk)
    login(ours)
    for _ in range(3):
        for _ in range(4):
            login(ours, "wrong")
        assert login(ours) == ALICE


@pytest.mark.parametrize(
    "change",
    [
        lambda user: replace(user, suspended=True),
        lambda user: replace(user, password=""),
        lambda user: replace(user, password=users_hash("another")),
    ],
)
def test_what_is_remembered_ends_at_once_in_every_process(
    desk: Any, change: Callable[[User], User]
) -> None:
    ours = users(desk)
    assert login(ours) == ALICE
    users_again(desk).change("alice", change)
    assert login(ours) is None


def users_hash(password: str) -> str:
    from tams_gateway_auth.passwords import Passwords

    return Passwords(32, 1).hash(password)


def test_scopes_and_groups_are_those_of_now(desk: Any) -> None:
    ours = users(desk)
    login(ours)
    changed = users_again(desk).change("alice", lambda user: replace(user, groups=frozenset()))
    assert login(ours) == changed.principal == replace(ALICE, groups=frozenset())


def test_failures_of_many_at_once_are_all_counted(desk: Any) -> None:
    ours = users(desk, lock_after=1000, parallel=8)
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda _: login(ours, "wrong"), range(64)))
    assert ours.find("alice").lock.failures == 64


def test_the_right_guess_of_many_at_once_comes_too_late(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is verified, others fail and lock the user."""
    ours, others = users(desk), users_again(desk)
    verify = ours._passwords.verify

    def slow(password: str, hash_: str) -> bool:
        for _ in range(5):
            login(others, "wrong")
        return verify(password, hash_)

    monkeypatch.setattr(ours._passwords, "verify", slow)
    assert login(ours) is None


def test_failures_that_come_while_a_login_succeeds_are_not_forgotten(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = users(desk), users_again(desk)
    login(others, "wrong")
    change = ours.change

    def late(*arguments: Any) -> User:
        login(others, "wrong")
        return change(*arguments)

    monkeypatch.setattr(ours, "change", late)
    assert login(ours) == ALICE
    assert ours.find("alice").lock.failures == 2


def test_a_password_that_was_changed_while_the_old_one_was_verified_lets_nobody_in(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = users(desk)
    verify, other = ours._passwords.verify, users_hash("another")

    def slow(password: str, hash_: str) -> bool:
        ours.change("alice", lambda user: replace(user, password=other))
        return verify(password, hash_)

    monkeypatch.setattr(ours._passwords, "verify", slow)
    assert login(ours) is None


def test_users_of_the_config_lock_too_and_win(desk: Any) -> None:
    configured = ConfiguredUser(Secret(users_hash("other")), (Scope.WRITE,), ("sport",))
    ours = users(desk, users={"alice": configured, "carol": configured})
    assert login(ours) is None
    carol = login(ours, "other", "carol")
    assert carol == Principal("carol", frozenset({Scope.WRITE}), frozenset({"sport"}))
    for _ in range(5):
        login(ours, "wrong", "carol")
    assert login(ours, "other", "carol") is None
    assert [user.name for user in ours.every()] == ["alice", "carol"]
    left = users_again(desk)
    assert login(left, "other", "carol") is None, "who leaves the config is gone"
    assert [user.name for user in left.every()] == ["alice"]


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ({"a:b": "hash"}, "users: expected a name without colons, got 'a:b'"),
        ({"": "hash"}, "users: expected a name without colons, got ''"),
        ({"alice": "secret"}, "users: alice: expected a hash of `tams-gateway user hash`"),
    ],
)
def test_names_and_hashes_of_the_config_are_checked(user: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        UserSettings({name: ConfiguredUser(Secret(text)) for name, text in user.items()})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a:b", "a\n", "a\0", "a" * 201])
def test_a_name_that_no_header_can_carry_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="without colons"):
        check_name(name)


REFUSED: Table = {
    "unknown": ("bob", "secret", lambda user: user),
    "wrong": ("alice", "wrong", lambda user: user),
    "locked": ("alice", "secret", lambda user: replace(user, lock=replace(user.lock, until=9e9))),
    "suspended": ("alice", "secret", lambda user: replace(user, suspended=True)),
}


def test_whatever_is_wrong_does_the_same_work(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    work: dict[str, list[str]] = {}
    for case, (name, password, change) in REFUSED.items():
        ours = users(desk)
        ours.change("alice", change)
        done = work[case] = []
        with monkeypatch.context() as patch:
            for owner, method in (
                (desk.metadata, "get"),
                (desk.metadata, "apply"),
                (ours._passwords, "_fits"),
            ):
                patch.setattr(owner, method, recording(done, method, getattr(owner, method)))
            assert login(ours, password, name) is None
    assert work == {case: ["get", "_fits", "get", "get", "apply"] for case in REFUSED}


def recording(done: list[str], method: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def record(*arguments: Any) -> Any:
        done.append(method)
        return call(*arguments)

    return record


def test_whatever_is_wrong_takes_the_same_time(desk: Any) -> None:
    spans = {}
    for case, (name, password, change) in REFUSED.items():
        ours = users(desk, memory_kib=4096, passes=2, lock_after=1000)
        ours.change("alice", change)
        spans[case] = min(span(ours, password, name) for _ in range(9))
    assert max(spans.values()) < 3 * min(spans.values()), spans


def span(users: Users, password: str, name: str) -> float:
    """Return how long a login keeps its thread at work, in seconds: others may have the machine."""
    started = time.thread_time()
    login(users, password, name)
    return time.thread_time() - started


def test_too_many_writers_of_one_user_are_told(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = users(desk)

    def busy(_: object) -> None:
        raise ConflictError("busy")

    monkeypatch.setattr(desk.metadata, "apply", busy)
    with pytest.raises(StoreError, match="too many writers"):
        login(ours, "wrong")


def test_a_record_holds_no_password(desk: Any) -> None:
    users(desk)
    body = desk.metadata.get(USERS, ["alice"])["alice"].body
    assert b"$argon2id$" in body
    assert b"secret" not in body
