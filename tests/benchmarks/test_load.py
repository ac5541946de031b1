"""The load driver starts, measures each operation, and fails where the server does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.load import cpu
from benchmarks.load.operations import LENGTHY, OPERATIONS
from tests.servers.process import serving

ROOT = Path(__file__).parent.parent.parent
QUICK = ("--rounds", "1", "--seconds", "0.02", "--length", "200")
MEMORY = {
    "TAMS_GATEWAY__METADATA__PLUGIN": "memory",
    "TAMS_GATEWAY__OBJECTS__MAIN__PLUGIN": "memory",
}


def load(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("stores", [MEMORY, {}], ids=["memory", "sqlite"])
def test_every_operation_is_measured(tmp_path: Path, stores: dict[str, str]) -> None:
    with serving(tmp_path, environment=stores) as serve:
        url, pid = f"http://127.0.0.1:{serve.port}", str(serve.process.pid)
        done = load(url, "--pid", pid, "--json", "-", "--connections", "2", *QUICK)
    assert 0 == done.returncode, done.stderr
    figures = json.loads(done.stdout)
    labels = [f"{name}/200" if name in LENGTHY else name for name in OPERATIONS]
    assert labels == [one["operation"] for one in figures]
    for one in figures:
        (server,) = one["servers"]
        assert 0 < server["requests"]
        assert 0 < server["p50_ms"] <= server["p99_ms"]


def test_two_servers_take_turns_and_several_processes_share_the_load(tmp_path: Path) -> None:
    with serving(tmp_path, environment=MEMORY) as serve:
        url = f"http://localhost:{serve.port}/"
        some = ("--operation", "get-flow", "--operation", "post-segment", "--processes", "2")
        done = load(url, "--against", url, *some, *QUICK)
    assert 0 == done.returncode, done.stderr
    assert 2 == done.stdout.count("A/B ")


def test_a_server_that_refuses_fails_the_run(tmp_path: Path) -> None:
    with serving(tmp_path, environment=MEMORY) as serve:
        done = load(f"http://127.0.0.1:{serve.port}/elsewhere", "--operation", "get-flow", *QUICK)
    assert 1 == done.returncode
    assert "get-flow: PUT http://127.0.0.1" in done.stderr
    assert "404" in done.stderr


def test_the_cpu_time_of_a_process_counts_its_children() -> None:
    spend = "import time\nwhile time.process_time() < 0.3: pass"
    twice = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spend!r}]); input()"
    with subprocess.Popen(
        [sys.executable, "-c", f"{twice}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        while cpu.spent(process.pid) < 0.3:
            assert process.poll() is None
        process.stdin.close()
    with pytest.raises(ProcessLookupError):
        cpu.spent(process.pid)
    assert cpu.spent(os.getpid()) > 0
