"""Scopes: any one of those that a route names suffices (R-AUTH-05)."""

import pytest

from tams_gateway.auth import policy
from tams_gateway.auth.principal import ANYBODY, Principal, Scope
from tams_gateway.domain.errors import Forbidden

READER = Principal("reader", frozenset({Scope.READ}))


def test_one_of_the_scopes_suffices() -> None:
    policy.check(READER, {Scope.READ, Scope.WRITE})
    policy.check(ANYBODY, {Scope.ADMIN})


def test_the_scope_of_admins_suffices_for_everything() -> None:
    policy.check(Principal("root", frozenset({Scope.ADMIN})), {Scope.WRITE})


def test_a_principal_without_the_scope_is_forbidden_and_told_which_it_lacks() -> None:
    with pytest.raises(Forbidden) as caught:
        policy.check(READER, {Scope.WRITE, Scope.DELETE})
    assert caught.value.status == 403
    assert caught.value.summary == "reader lacks the scope tams-api/delete or tams-api/write"


def test_a_principal_without_any_scope_may_do_nothing() -> None:
    with pytest.raises(Forbidden):
        policy.check(Principal("nobody", frozenset()), frozenset(Scope))
