"""A real S3 server, and gateways whose objects are in its buckets."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tams_gateway_s3.settings import Settings
from tams_gateway_s3.store import S3Objects

from tams_gateway.plugin import Secret
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tests.deployments import Deployment, config, in_process
from tests.servers.seaweed import ACCESS, SECRET, seaweed
from tests.spec.official import watches

LIFETIME = 3660


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as endpoint:
        yield endpoint


def options(endpoint: str, **more: object) -> dict[str, object]:
    """Return the options of a new bucket."""
    return {
        "plugin": "s3",
        "endpoint": endpoint,
        "bucket": f"b{uuid.uuid4().hex[:12]}",
        "access_key": ACCESS,
        "secret_key": SECRET,
        "create_bucket": True,
        **more,
    }


def settings(endpoint: str, **more: object) -> Settings:
    """Return the same as the plugin's own struct."""
    found = options(endpoint, **more)
    del found["plugin"]
    secrets = {name: Secret(str(found[name])) for name in ("access_key", "secret_key")}
    return Settings(**{**found, **secrets})


@pytest.fixture
def store(endpoint: str) -> Iterator[S3Objects]:
    store = S3Objects(settings(endpoint), LIFETIME, lambda: 1_800_000_000.0)
    yield store
    store.close()


@pytest.fixture
def limits() -> dict[str, object]:
    """The `[limits]` of the gateway."""
    return {}


@pytest.fixture(params=["wsgi-sqlite", "asgi-sqlite"])
def deployment(
    request: pytest.FixtureRequest, endpoint: str, tmp_path: Path, limits: dict[str, object]
) -> Iterator[Deployment]:
    """A gateway with two buckets beside its default backend."""
    sections: dict[str, dict[str, object]] = {
        "objects.hot": {**options(endpoint), "label": "hot"},
        "objects.cold": {**options(endpoint), "label": "cold"},
        "limits": limits,
    }
    with in_process(request.param, config(request.param, tmp_path, sections), watches()) as made:
        yield made


@pytest.fixture
def client(deployment: Deployment) -> Client:
    return deployment.client


@pytest.fixture
def ingest(client: Client) -> Ingest:
    return Ingest(client)
