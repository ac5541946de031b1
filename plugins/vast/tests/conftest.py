"""A test server for each test, and the settings that lead to it.

With `TAMS_TEST_VAST_ENDPOINT` (and `_ACCESS_KEY`, `_SECRET_KEY`, `_BUCKET`) tests that need none of
its switches run on a real cluster instead: see `options`.
"""

import os
import secrets
from collections.abc import Iterator

import pytest
import structlog
from tams_gateway_vast.metadata import LAYOUTS, VastMetadata
from tams_gateway_vast.settings import Settings

from tams_gateway.plugin import Secret
from tests.servers.vast import Server, Switches, vast

REAL = os.environ.get("TAMS_TEST_VAST_ENDPOINT")


@pytest.fixture
def server() -> Iterator[Server]:
    """A test server with an empty bucket, which believes every signature."""
    with vast(switches=Switches(signature="off")) as running:
        yield running


def settings(server: Server, **options: object) -> Settings:
    """Return settings for a schema on the server: of few shards, and impatient."""
    return Settings(
        endpoints=tuple(server.endpoints),
        access_key=Secret(server.access),
        secret_key=Secret(server.secret),
        bucket=server.bucket,
        **{"guard": "r", "shards": 8, "patience": 5.0, **options},  # type: ignore[arg-type]
    )


def opened(chosen: Settings) -> VastMetadata:
    """Return a store."""
    return VastMetadata(chosen, structlog.get_logger(), lambda: 0.0, LAYOUTS)


@pytest.fixture
def options(request: pytest.FixtureRequest) -> dict[str, str]:
    """The options of a new schema, as a config has them: on a real cluster where one is named."""
    schema = f"tests_{secrets.token_hex(6)}"
    if REAL is not None:
        names = {"access_key": "ACCESS_KEY", "secret_key": "SECRET_KEY", "bucket": "BUCKET"}
        given = {key: os.environ[f"TAMS_TEST_VAST_{name}"] for key, name in names.items()}
        return {"endpoints": f'["{REAL}"]', **given, "schema": schema}
    server: Server = request.getfixturevalue("server")
    listed = ", ".join(f'"{one}"' for one in server.endpoints)
    return {
        "endpoints": f"[{listed}]",
        "access_key": server.access,
        "secret_key": server.secret,
        "bucket": server.bucket,
        "schema": schema,
        "shards": "16",
        "patience": "3",
        "guard": "r",
    }
