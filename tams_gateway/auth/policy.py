"""What a principal may do: the coarse scopes of AppNote 0016 (R-AUTH-05)."""

from collections.abc import Set

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.domain.errors import Forbidden


def check(principal: Principal, scopes: Set[Scope]) -> None:
    """Refuse a principal that has none of the scopes, any of which suffices; admins may all.

    Raises `Forbidden` naming them.
    """
    if scopes.isdisjoint(principal.scopes) and Scope.ADMIN not in principal.scopes:
        names = " or ".join(sorted(scope.value for scope in scopes))
        raise Forbidden(f"{principal.name} lacks the scope {names}")
