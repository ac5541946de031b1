"""Who a request is for, after authentication."""

import enum

import msgspec


class Scope(enum.Enum):
    """The coarse permissions of AppNote 0016 (R-AUTH-05)."""

    READ = "tams-api/read"
    WRITE = "tams-api/write"
    DELETE = "tams-api/delete"
    ADMIN = "tams-api/admin"


class Principal(msgspec.Struct, frozen=True):
    """A user, service or token: its name for `created_by`, its scopes, its groups."""

    name: str
    scopes: frozenset[Scope]
    groups: frozenset[str] = frozenset()

    @property
    def author(self) -> str | None:
        """The name for `created_by` and `updated_by`; None where nobody is known (R-AUTH-12)."""
        return None if self is ANYBODY else self.name


ANYBODY = Principal("anonymous", frozenset(Scope))
"""Whom an open gateway serves: anybody, with every scope."""
