"""What tests of faults share: servers that are killed, and clients that see them go."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.transports import Http
from tests.faults.disks import MIB, Disk, small_disk
from tests.servers.process import Serve, serving

Start = Callable[..., tuple[Serve, Client]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts two workers on the data of this test, as often as it asks; returns a client, too."""
    with ExitStack() as closing:

        def begin(environment: Mapping[str, str] = {}) -> tuple[Serve, Client]:
            options = ("--workers", "2")
            server = closing.enter_context(serving(tmp_path, *options, environment=environment))
            client = Client(Http(f"http://127.0.0.1:{server.port}"))
            closing.callback(client.close)
            return server, client

        yield begin


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of eight mebibytes for this test alone."""
    folder = tmp_path / "disk"
    if os.geteuid() != 0:
        yield Disk(folder)  # `pytest_pyfunc_call` runs the test elsewhere.
        return
    with small_disk(folder, 8 * MIB) as disk:
        yield disk


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that mounts a disk as root of a namespace of its own, where it is not root."""
    if "disk" not in pyfuncitem.fixturenames or os.geteuid() == 0:
        return None
    pytest_again = (sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider")
    again = (*pytest_again, "--rootdir", str(pyfuncitem.config.rootpath), pyfuncitem.nodeid)
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted: run it as root, or allow user namespaces")
    done = subprocess.run(
        ["unshare", "-Urm", *again],
        cwd=pyfuncitem.config.rootpath,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return True
