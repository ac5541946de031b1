"""A context of an auth provider on a store in memory, with a clock that tests set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from tams_gateway_memory.metadata import MemoryMetadata

from plugins.auth.tests.logins import AUTH
from tams_gateway.auth.journal import AuthEntry
from tams_gateway.plugin import Context
from tams_gateway.testing.client import Client
from tams_gateway.testing.samples import KEYS
from tests.deployments import Deployment, config, in_process
from tests.spec.official import watches


class Desk:
    """A context, what was noted, and how to move its clock."""

    def __init__(self) -> None:
        self.metadata = MemoryMetadata()
        self.noted: list[AuthEntry] = []
        self.offset = 0.0
        self.context = Context(
            name="basic",
            log=structlog.get_logger(),
            now=lambda: 1_700_000_000.0 + self.offset,
            url_lifetime=3600,
            keys=lambda _: KEYS,
            metadata=self.metadata,
            note=self.noted.append,
        )

    @property
    def actions(self) -> list[str]:
        """What was noted, without the details."""
        return [entry.action for entry in self.noted]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(params=["wsgi-memory", "asgi-sqlite"])
def issuing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """A gateway with the built-in issuer."""
    settings = config(
        request.param, tmp_path, {"auth": AUTH, "rates": {"failures_per_minute": 1000}}
    )
    with in_process(request.param, settings, watches()) as deployment:
        yield deployment


@pytest.fixture
def client(issuing: Deployment) -> Client:
    """A client of it."""
    return issuing.client
