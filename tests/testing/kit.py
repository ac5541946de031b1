"""Runs the published kit as its users do: by the command, from an empty directory."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Outcome:
    """What a run of the kit said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.status = done.returncode
        self.text = done.stdout + done.stderr

    def clauses(self, mark: str) -> list[str]:
        """Return the clauses that its report marks so."""
        lines = self.text.splitlines()
        return [line.removeprefix(f"{mark} ") for line in lines if line.startswith(f"{mark} ")]


def run(folder: Path, *arguments: str, path: Path | str = ROOT) -> Outcome:
    """Run the suite in a folder; plugins are found in the environment and on `path`.

    Of pytest's own plugins it has that of the kit alone: all of them take a fifth of a second. The
    stores lie in memory where that can be had: no clause waits for a disk.
    """
    command = (*("-m", "pytest", "-q", "--pyargs", "tams_gateway.testing.suite"), *arguments)
    lean = ("-p", "no:cacheprovider", "-p", "tams_gateway.testing.options")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    # A clause that does not apply is skipped, which the project's own tests never are.
    env |= {"CI": "", "NO_COLOR": "1", "PYTHONPATH": f"{path}:{ROOT}"}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else folder) as stores:
        done = subprocess.run(
            [sys.executable, *command, *lean, f"--basetemp={stores}/kit"],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    return Outcome(done)
