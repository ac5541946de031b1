"""The commands of the README work as they stand there, pasted in their order."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.nginx import free_port

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("TAMS_")}

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="apt-get install curl")

TOLD = [
    "",
    "HTTP/1.1 201",
    "HTTP/1.1 200",
    "HTTP/1.1 201",
    '"timerange": "[0:0_10:0)"',
    "identical",
    "HTTP/1.1 204",
]
"""What each block of the tour prints among other things."""


def tour() -> list[str]:
    chapter = README.partition("\n## Five minutes with curl\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)


@contextmanager
def serving(folder: Path, command: Sequence[str], seconds: int) -> Iterator[str]:
    """Run a command that serves, and yield the URL of its API once that answers.

    Afterwards SIGTERM ends it, with status 0.
    """
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=PLAIN)
    try:
        wait = ["--retry-connrefused", "--retry", str(seconds), "--retry-delay", "1"]
        subprocess.run(["curl", "-sSf", *wait, f"{api}/service"], check=True)
        yield api
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_the_tour_works_when_it_is_pasted(tmp_path: Path) -> None:
    serve = [sys.executable, "-m", "tams_gateway", "serve"]
    with serving(tmp_path, serve, 10) as api:
        pasted = "echo =====\n".join(tour()).replace("http://127.0.0.1:4010", api)
        done = subprocess.run(
            ["bash"],
            input=pasted,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == ""
    printed = done.stdout.split("=====\n")
    assert len(printed) == len(TOLD)
    for told, block in zip(TOLD, printed, strict=True):
        assert told in block


@pytest.mark.timeout(300)
def test_the_first_command_serves_and_later_starts_without_installing(tmp_path: Path) -> None:
    assert "\n```sh\n./install-and-serve\n```\n" in README
    clone, data = tmp_path / "clone", tmp_path / "data"
    data.mkdir()
    shutil.copytree(
        ROOT,
        clone,
        ignore=shutil.ignore_patterns(".git", ".tox", ".venv*", "__pycache__", ".*_cache", "data"),
    )
    command = [str(clone / "install-and-serve")]
    with serving(data, command, 240):
        installed = (clone / ".venv-serve" / "sources").stat().st_mtime_ns
    with serving(data, command, 10):
        assert (clone / ".venv-serve" / "sources").stat().st_mtime_ns == installed


def test_continuous_integration_runs_the_second_command() -> None:
    assert "\n```sh\n./install-and-test\n```\n" in README
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^exec \./install-and-test$", script, re.MULTILINE)
