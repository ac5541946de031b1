"""What access the `[access]` section gives to whom."""

import pytest

from tams_gateway.auth.access import (
    EVERYTHING,
    Access,
    AccessSettings,
    ClassRule,
    Permission,
    Policy,
)
from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.domain.errors import Forbidden, NotFound

READ, WRITE, DELETE = Permission


def access(*groups: str, **settings: object) -> Access:
    found = AccessSettings(auth_classes=True, **settings)  # type: ignore[arg-type]
    return Policy(found).access(Principal("p", frozenset({Scope.READ}), frozenset(groups)))


def test_admins_and_everybody_without_the_switch_have_access_to_everything() -> None:
    admin = Principal("root", frozenset({Scope.ADMIN}))
    reader = Principal("reader", frozenset({Scope.READ}))
    assert Policy(AccessSettings(auth_classes=True)).access(admin) is EVERYTHING
    assert Policy(AccessSettings()).access(reader) is EVERYTHING
    assert EVERYTHING.everything
    assert EVERYTHING.may(DELETE, {"secret"})
    EVERYTHING.check_change({"a"}, {"b"})


def test_a_class_without_a_rule_is_that_of_the_group_of_its_name() -> None:
    mine = access("news")
    assert all(mine.may(one, {"news", "sport"}) for one in Permission)
    assert [mine.may(one, {"news_ro"}) for one in Permission] == [True, False, False]
    assert not mine.any({"sport", "news_", ""})
    # So nobody writes by it: a group of that name gets nothing.
    assert not access("news_ro").any({"news_ro"})


def test_a_rule_replaces_what_the_name_of_a_class_says() -> None:
    rules = {"news": ClassRule(read=("*",), write=("editors",)), "news_ro": ClassRule()}
    assert [access("news", classes=rules).may(one, {"news"}) for one in Permission] == [
        True,
        False,
        False,
    ]
    assert access("editors", classes=rules).may(WRITE, {"news"})
    assert not access("editors", "news", classes=rules).any({"news_ro"})


def test_what_has_no_class_is_as_the_default_classes_say() -> None:
    assert not access("news").any({""})
    assert not access("").any({""})
    shared = access("news", default_classes=("sport", "news_ro"))
    assert [shared.may(one, {""}) for one in Permission] == [True, False, False]


def test_no_permission_at_all_is_as_absent_and_too_little_is_forbidden() -> None:
    """R-AUTH-06."""
    mine, absent = access("news"), NotFound("no flow")
    mine.require(WRITE, {"news"}, absent, "flow 1")
    with pytest.raises(NotFound) as missed:
        mine.require(READ, {"sport"}, absent, "flow 1")
    assert missed.value is absent
    with pytest.raises(Forbidden, match="no permission to write flow 1"):
        mine.require(WRITE, {"news_ro"}, absent, "flow 1")


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        (None, "news", True),
        (None, "news news_ro", True),
        (None, "news sport", False),
        (None, "news_ro", False),
        (None, "", False),
        ("news", "news news_ro", True),
        ("news sport", "news", False),
        ("news", "news public", False),
        ("news", "news shown", True),
        ("shown news", "shown", False),
        ("desk", "desk news", False),
        ("desk news", "news", True),
        ("sport", "sport", True),
    ],
)
def test_classes_are_changed_by_who_has_what_they_give(
    before: str | None, after: str, allowed: bool
) -> None:
    """R-AUTH-09: `public` also gives writing to others, `shown` gives reading to everybody."""
    rules = {
        "public": ClassRule(read=("*",), write=("others",)),
        "shown": ClassRule(read=("*",)),
        "desk": ClassRule(read=("news",), write=("news",)),
    }
    mine = access("news", classes=rules)
    sets = [frozenset([""] if one == "" else one.split()) for one in (before or "", after)]
    try:
        mine.check_change(None if before is None else sets[0], sets[1])
    except Forbidden:
        assert not allowed
    else:
        assert allowed


def test_what_is_known_of_groups_is_bounded() -> None:
    policy = Policy(AccessSettings(auth_classes=True))
    for number in range(10_010):
        policy.access(Principal("p", frozenset(), frozenset({str(number)})))
    assert len(policy._known) < 10_010
