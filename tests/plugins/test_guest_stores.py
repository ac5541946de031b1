"""The guest stores: proven by the published kit, here and as a third party installs them."""

import ast
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tests.servers.process import serving
from tests.testing import kit

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

METADATA = ("--tams-metadata", "guest-metadata", "--tams-option", "path={tmp}/metadata.db")
OBJECTS = ("--tams-objects", "guest-objects", "--tams-option", "path={tmp}/objects.db")
LINES = {"guest_metadata": 150, "guest_objects": 75}

CONFIG = """
[metadata]
plugin = "guest-metadata"
path = "metadata.db"

[objects.main]
plugin = "guest-objects"
path = "objects.db"
"""

SOME_CLAUSES = "killed or opened_again or overlapping_adds or half or version or range or whole"
"""For the other environment, since all of them hold in this one."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("arguments", [METADATA, OBJECTS], ids=LINES)
def test_a_guest_keeps_the_whole_contract(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Where there is memory to put files in, no clause waits for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        place = f"--basetemp={folder}/kit"
        path = HERE / arguments[1].replace("-", "_")
        found = kit.run(tmp_path, *arguments, "--tams-segments", "20000", place, path=path)
    assert found.status == 0, found.text
    assert found.clauses("FAILED") == []


@pytest.mark.parametrize("guest", LINES)
def test_a_guest_is_as_short_as_the_guide_says(guest: str) -> None:
    """Lines of code: without imports, docstrings and blank lines."""
    source = (HERE / guest / f"{guest}.py").read_text()
    lines = {number for number, line in enumerate(source.splitlines(), 1) if line.strip()}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_docstring(node):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    assert len(lines) <= LINES[guest]


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class Elsewhere:
    """A new virtual environment with the gateway and the guest stores, and a folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", symlinks=True)
        self.bin = folder / "venv" / "bin"
        if (offline := self._pip("hatchling>=1.25")).returncode:
            pytest.skip(f"no package index to be reached: connect, or see why: {offline.stderr}")
        guests = [str(HERE / guest) for guest in LINES]
        installed = self._pip("--no-build-isolation", f"{ROOT}[testing]", *guests)
        assert installed.returncode == 0, installed.stderr

    def _pip(self, *packages: str) -> subprocess.CompletedProcess[str]:
        pip = (sys.executable, "-m", "pip", "--python", str(self.bin / "python"))
        options = ("-q", "--no-compile", "--disable-pip-version-check")
        return self._run(*pip, "install", *options, *packages)

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        foreign = ("PYTHON", "PYTEST", "TAMS_", "CI")
        env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=env | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def say(self, program: str, *arguments: str) -> str:
        """Run a program of the environment, which is to succeed; return what it prints."""
        done = self._run(str(self.bin / program), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.timeout(300)
def test_a_third_party_installs_selects_serves_and_proves_its_stores(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    (tmp_path / "tams.toml").write_text(CONFIG)

    listed = elsewhere.say("tams-gateway", "plugins", "--config", "tams.toml")
    assert "guest-metadata (guest-metadata 1.0), selected by metadata\n" in listed
    assert "guest-objects (guest-objects 1.0), selected by objects.main\n" in listed
    checked = elsewhere.say("tams-gateway", "check", "--config", "tams.toml")
    assert "metadata: ok: metadata.db can be written\n" in checked
    assert "objects.main: ok: objects.db can be written\n" in checked

    path = _ingest(elsewhere)
    with serving(tmp_path, "--config", "tams.toml", python=str(elsewhere.bin / "python")) as serve:
        assert serve.request("GET", path).body == b"media"

    proven = elsewhere.say(
        *("pytest", "-q", "--pyargs", "tams_gateway.testing.suite", "-k", SOME_CLAUSES),
        *METADATA,
        *OBJECTS,
    )
    assert proven.count(" clauses proven, 0 failed, ") == 2


def _ingest(elsewhere: Elsewhere) -> str:
    """Store an object through two workers, and read it; return the path of its URL."""
    options = ("--config", "tams.toml", "--workers", "2")
    python = str(elsewhere.bin / "python")
    with serving(elsewhere.folder, *options, python=python) as serve:
        client = Client(Http(f"http://127.0.0.1:{serve.port}"))
        ingest = Ingest(client)
        flow_id = ingest.flow()
        [stored] = ingest.allocate(flow_id)
        upload = stored["put_url"]
        headers = {"content-type": upload["content-type"]}
        assert client.put(upload["url"], body=b"media", headers=headers).status in (200, 201, 204)
        ingest.register(flow_id, stored["object_id"], "[0:0_10:0)")
        [segment] = client.get(f"/flows/{flow_id}/segments?timerange=[9:0_20:0)").json
        [url] = [one["url"] for one in segment["get_urls"] if one.get("presigned")]
        assert client.get(url).body == b"media"
        client.close()
        return str(url).partition(str(serve.port))[2]
