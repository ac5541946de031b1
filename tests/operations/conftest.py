"""What the tests of operations share: the moves of a client over the `client` fixture."""

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tests.deployments import Deployment
from tests.operations.hooks import Hooks


@pytest.fixture
def ingest(client: Client) -> Ingest:
    return Ingest(client)


@pytest.fixture
def hooks(deployment: Deployment) -> Hooks:
    return Hooks(deployment)
