"""The `client` of a gateway with fresh stores, once for each way to reach one.

`@pytest.mark.config(limits={"page_default": 2})` gives sections of the config;
`@pytest.mark.deployments("wsgi-memory")` runs a test for these ways only, and
`@pytest.mark.served_by_the_gateway("WHY")` not for those whose clients upload and read past it.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.transports import Http
from tests.deployments import (
    KINDS,
    Clock,
    Deployment,
    Front,
    behind,
    config,
    in_process,
    sampled,
)
from tests.spec.official import watches
from tests.stores import Servers, make_tables


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what uses a gateway once for each way to reach one."""
    if "deployment_kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("deployments")
        kinds = marker.args if marker else (*KINDS, *sampled(metafunc.definition))
        metafunc.parametrize("deployment_kind", kinds, indirect=True, scope="function")


@pytest.fixture
def deployment_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of stores, each started for the first test that needs it."""
    with Servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers


@pytest.fixture(scope="session")
def nginx_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Front, Http]]:
    """A server for any app, behind a real nginx that strips a prefix."""
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        pytest.skip("nginx is not installed: apt-get install nginx")
    from tests.servers.nginx import nginx

    with ExitStack() as closing:
        front = Front()
        closing.callback(front.close)
        base = closing.enter_context(nginx(front.port, tmp_path_factory.mktemp("nginx")))
        transport = Http(base)
        closing.callback(transport.close)
        yield front, transport


@pytest.fixture
def deployment(
    request: pytest.FixtureRequest, deployment_kind: str, tmp_path: Path, servers: Servers
) -> Iterator[Deployment]:
    """A gateway at work, with fresh stores."""
    served = request.node.get_closest_marker("served_by_the_gateway")
    if served is not None and deployment_kind.endswith("-s3"):
        pytest.skip(f"media are in a bucket here: {served.args[0]}")
    sections: dict[str, dict[str, object]] = {}
    for marker in reversed(list(request.node.iter_markers("config"))):
        sections |= marker.kwargs
    settings = config(deployment_kind, tmp_path, sections, servers)
    make_tables(settings)
    if deployment_kind.startswith("nginx"):
        front, transport = request.getfixturevalue("nginx_front")
        running = behind(front, transport, settings, watches())
    else:
        running = in_process(deployment_kind, settings, watches())
    with running as deployment:
        yield deployment


@pytest.fixture
def client(deployment: Deployment) -> Client:
    """A client of a gateway with two storage backends and no credentials."""
    return deployment.client


@pytest.fixture
def clock(deployment: Deployment) -> Clock:
    """The clock of that gateway."""
    return deployment.clock
