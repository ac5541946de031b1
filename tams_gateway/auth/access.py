"""What a principal may do with a resource, by the classes in its tag `auth_classes` (R-AUTH-06).

It stands beside the scopes: those say which operations a principal may call at all. A resource with
no class has the classes `UNCLASSIFIED`.
"""

import enum
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from typing import Final

import msgspec

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.domain.errors import Forbidden, Refusal
from tams_gateway.domain.tags import UNCLASSIFIED

EVERY_GROUP: Final = "*"
"""As a group of a rule: every principal."""

_READ_ONLY: Final = "_ro"


class Permission(enum.Enum):
    """What may be done with a resource."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


class ClassRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The groups that may do each with what has a class; `*` stands for every principal."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


class AccessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[access]` section.

    A class without a rule in `classes` gives the group of its name everything; one that is called
    `NAME_ro` only lets the group NAME read.
    """

    auth_classes: bool = False
    """Look at the classes at all."""
    default_classes: tuple[str, ...] = ()
    """The classes of sources and flows that have none; without any, only admins see those."""
    classes: Mapping[str, ClassRule] = {}


class Access(msgspec.Struct, frozen=True):
    """The classes with which a principal may do what; None: everything with everything.

    `grants` tells whether the principal may give a class to a resource, and take it away.
    """

    classes: Mapping[Permission, frozenset[str]] | None
    grants: Callable[[str], bool] = lambda _: True

    @property
    def everything(self) -> bool:
        """Whether nothing needs to be looked at."""
        return self.classes is None

    def may(self, permission: Permission, classes: Collection[str]) -> bool:
        """Whether the principal may do that with a resource of these classes."""
        return self.classes is None or not self.classes[permission].isdisjoint(classes)

    def any(self, classes: Collection[str]) -> bool:
        """Whether the principal may do anything at all with a resource of these classes."""
        return any(self.may(permission, classes) for permission in Permission)

    def require(
        self, permission: Permission, classes: Collection[str], absent: Refusal, what: str
    ) -> None:
        """Refuse what the principal may not do (R-AUTH-06).

        Raises `absent`, as if the resource was not there, where it may do nothing at all with it,
        else `Forbidden`; `what` names the resource.
        """
        if self.may(permission, classes):
            return
        if not self.any(classes):
            raise absent
        raise denied(permission, what)

    def check_change(self, before: Set[str] | None, after: Set[str]) -> None:
        """Refuse a change of classes by which a principal would rise above itself (R-AUTH-09).

        `before` is None for a new resource. Raises `Forbidden` where the principal could not write
        the resource afterwards, changes a class that it may not grant, or would gain a permission.
        """
        if self.classes is None or before == after:
            return
        if not self.may(Permission.WRITE, after):
            raise Forbidden("tag auth_classes: one of your own classes is needed, to write with")
        for name in sorted((after ^ (before or set())) - {UNCLASSIFIED}):
            if not self.grants(name):
                raise Forbidden(f"tag auth_classes: no permission to give or take class {name!r}")
        if before is None:
            return
        for permission in Permission:
            if self.may(permission, after) and not self.may(permission, before):
                raise Forbidden(f"tag auth_classes: it would let you {permission.value} this")


def denied(permission: Permission, what: str) -> Forbidden:
    """Return the refusal for something that the principal knows of."""
    return Forbidden(f"no permission to {permission.value} {what}")


EVERYTHING: Final = Access(None)
"""The access of admins, and of everybody where classes are not looked at."""


class Policy:
    """Tells what access each principal has."""

    def __init__(self, settings: AccessSettings) -> None:
        self._settings = settings
        self._known: dict[frozenset[str], Access] = {}

    def access(self, principal: Principal) -> Access:
        """Return what a principal may do."""
        if not self._settings.auth_classes or Scope.ADMIN in principal.scopes:
            return EVERYTHING
        known = self._known.get(principal.groups)
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            known = self._known[principal.groups] = self._access(principal.groups)
        return known

    def _access(self, groups: frozenset[str]) -> Access:
        rules = self._settings.classes
        found = {}
        for permission in Permission:
            mine = {name for name in groups - rules.keys() if not name.endswith(_READ_ONLY)}
            if permission is Permission.READ:
                mine |= {f"{name}{_READ_ONLY}" for name in groups} - rules.keys()
            for name, rule in rules.items():
                allowed = getattr(rule, permission.value)
                if EVERY_GROUP in allowed or not groups.isdisjoint(allowed):
                    mine.add(name)
            if not mine.isdisjoint(self._settings.default_classes):
                mine.add(UNCLASSIFIED)
            else:
                mine.discard(UNCLASSIFIED)
            found[permission] = frozenset(mine)

        def grants(name: str) -> bool:
            return all(name in found[permission] for permission in self._given_by(name))

        return Access(found, grants)

    def _given_by(self, name: str) -> Iterable[Permission]:
        """Yield what a class gives to anybody: who grants it must have got the same from it."""
        rule = self._settings.classes.get(name)
        for permission in Permission:
            if rule is not None:
                given = bool(getattr(rule, permission.value))
            else:
                given = permission is Permission.READ or not name.endswith(_READ_ONLY)
            if given:
                yield permission


OPEN: Final = Policy(AccessSettings())
"""The policy that looks at no classes."""
