"""Each guard is right, in every order of requests, under just those rules that it is meant for."""

import itertools
from collections.abc import Callable, Mapping
from typing import get_args

import pytest
from tams_gateway_vast.writing import guards
from tams_gateway_vast.writing.guards import Name

from plugins.vast.tests.conflicts import Rules
from plugins.vast.tests.orders import Search

SWITCHES = (
    ("none", "commit", "call", "both", "waiting", "go on"),
    (True, False),
    ("snapshot", "latest"),
)


def of_rows() -> list[Rules]:
    return [
        Rules(rows=rows, rows_committed=committed, rows_isolation=isolation)
        for rows, committed, isolation in itertools.product(*SWITCHES)
    ]


def of_names() -> list[Rules]:
    return [
        Rules(
            names=names,
            names_committed=committed,
            names_isolation=isolation,
            rows_isolation=rows,
        )
        for names, committed, isolation, rows in itertools.product(*SWITCHES, SWITCHES[2])
    ]


HOLDS: Mapping[Name, tuple[list[Rules], Callable[[Rules], bool]]] = {
    "r": (of_rows(), lambda one: one.rows not in ("none", "go on") and one.rows_committed),
    "r+": (of_rows(), lambda one: one.rows != "none"),
    "n": (
        of_names(),
        # Who waited and goes on finds the old name no more, where names are read as they are now.
        lambda one: (
            (one.names_isolation == "latest" or (one.names_committed and one.names != "go on"))
            and one.names != "none"
        ),
    ),
    "n+": (of_names(), lambda one: one.names != "none"),
    "k": ([Rules(), Rules(rows_isolation="latest")], lambda one: True),
    "process": (of_rows()[:4], lambda one: False),
}
"""The rules that matter for each guard, and under which of them it is right."""


@pytest.fixture(autouse=True)
def real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the guards back their clock, which a search takes away."""
    monkeypatch.setattr(guards, "time", guards.time)


@pytest.mark.parametrize("name", HOLDS)
def test_two_writers_never_decide_on_one_state_where_the_guard_holds(name: Name) -> None:
    """And do elsewhere: so the search finds what is wrong."""
    rules, holds = HOLDS[name]

    assert [one for one in rules if right(name, one) != holds(one)] == []


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("r", Rules(rows="waiting", rows_committed=True)),
        ("r+", Rules(rows="commit")),
        ("n", Rules(names="commit", names_committed=True)),
        ("n+", Rules(names="call")),
    ],
)
def test_nor_do_three(name: Name, rules: Rules) -> None:
    assert right(name, rules, writers=3)


@pytest.mark.parametrize("name", ["n", "n+"])
def test_names_that_another_guard_has_passed_by_are_put_right(name: Name) -> None:
    rules = Rules(names="call", names_isolation="latest", stands="v_7")

    assert right(name, rules)


def right(name: Name, rules: Rules, writers: int = 2) -> bool:
    search = Search(name, rules, writers)
    search.run()
    return search.right()


def test_every_guard_is_searched() -> None:
    assert set(HOLDS) == set(get_args(Name))
