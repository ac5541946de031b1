"""Principals for the tests of `auth_classes`: one for each of a few groups, and an admin."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tests.deployments import Deployment, config, in_process
from tests.spec.official import watches

GUEST: Final = Path(__file__).parents[1] / "plugins" / "guest_auth"

GROUPS: Final = {
    "nobody": [],
    "news": ["news"],
    "sport": ["sport"],
    "both": ["news", "sport"],
    "clerk": ["clerk"],
}
"""The principals without the scope of admins, and the groups of each."""

RULES: Final = {"desk": {"read": ["news"], "write": ["news", "clerk"], "delete": []}}
"""The class `desk`: news reads and writes it, the clerk only writes it, nobody deletes it."""

_PLAIN: Final = ["tams-api/read", "tams-api/write", "tams-api/delete"]

AUTH: Final[list[dict[str, Any]]] = [
    {
        "plugin": "guest-auth",
        "scopes": _PLAIN,
        "keys": {name: f"key of {name}" for name in GROUPS},
        "groups": GROUPS,
    },
    {"plugin": "guest-auth", "header": "x-admin", "keys": {"root": "key of root"}},
]


class Principals:
    """A gateway with clients that each call as another principal."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._transport = deployment.client.transport
        self._watches = deployment.client.watches

    def __getitem__(self, name: str) -> Client:
        client = Client(self._transport, self._watches)
        header = "x-admin" if name == "root" else "x-api-key"
        client.headers = {header: f"key of {name}"}
        return client

    def ingest(self, name: str) -> Ingest:
        """Return the moves of a principal that brings media in."""
        return Ingest(self[name])


@contextmanager
def guarded(
    kind: str, folder: Path, patch: pytest.MonkeyPatch, **sections: Any
) -> Iterator[Principals]:
    """Run a gateway where classes count; `sections` adds to its config."""
    patch.syspath_prepend(GUEST)
    access = {"auth_classes": True, "classes": RULES, **sections.pop("access", {})}
    settings = config(kind, folder, {"auth": AUTH, "access": access, **sections})
    with in_process(kind, settings, watches()) as deployment:
        yield Principals(deployment)
