"""`tams-gateway check` opens everything, looks at it once, and says what to do."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tams_gateway.cli.main import main
from tams_gateway.domain.health import Health
from tams_gateway.settings import load
from tams_gateway.testing.ingest import Ingest
from tests.deployments import in_process

MEMORY = "[metadata]\nplugin = 'memory'\n[objects.main]\nplugin = 'memory'\n"


def check(path: Path, text: str = MEMORY, **env: str) -> tuple[int, str]:
    """Return the exit status and what was printed."""
    config = path / "tams.toml"
    config.write_text(text)
    done = CliRunner(env=env).invoke(main, ["check", "--config", str(config)])
    return done.exit_code, done.output


def test_all_that_works_is_ok(tmp_path: Path) -> None:
    status, output = check(tmp_path)
    assert status == 0
    assert f"config: {tmp_path}/tams.toml is valid\n" in output
    assert "metadata: ok: " in output
    assert "objects.main: ok: " in output


def test_what_fails_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tams_gateway_memory.metadata.MemoryMetadata.check",
        lambda store: Health(False, "the disk is full", "delete something"),
    )
    status, output = check(tmp_path)
    assert status == 1
    assert "metadata: FAILS: the disk is full\n          to do: delete something\n" in output
    assert "objects.main: ok: " in output


def test_an_open_gateway_is_told_of(tmp_path: Path) -> None:
    assert "auth: none: this machine alone is served, without credentials" in check(tmp_path)[1]
    everybody = check(tmp_path, MEMORY, TAMS_GATEWAY__SERVICE__AUTH_OPEN="true")[1]
    assert "auth: none: everybody who reaches the gateway is served" in everybody


def test_an_open_gateway_for_other_machines_is_refused(tmp_path: Path) -> None:
    status, output = check(tmp_path, MEMORY + "[serve]\nhost = '0.0.0.0'")
    assert status == 1
    assert "refusing to serve 0.0.0.0 without credentials: configure [[auth]]" in output


def test_a_server_that_is_not_installed_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "granian", None)
    status, output = check(tmp_path, MEMORY + "[serve]\nserver = 'granian'")
    assert status == 1
    assert "granian is not installed: " in output


def test_more_workers_than_the_plugins_allow_are_refused(tmp_path: Path) -> None:
    status, output = check(tmp_path, MEMORY + "[serve]\nworkers = 2")
    assert status == 1
    assert "metadata: plugin 'memory' keeps its data in one process; expected 1 worker" in output


def test_a_storage_backend_that_left_the_config_is_missed(tmp_path: Path) -> None:
    """Its objects show no URLs, and nobody would be told why."""
    before = f"""
[metadata]
plugin = "sqlite"
path = "{tmp_path}/tams.db"
[objects.main]
plugin = "filesystem"
path = "{tmp_path}/objects"
"""
    config = tmp_path / "before.toml"
    config.write_text(before)
    with in_process("wsgi", load(config, {}), []) as deployment:
        client = deployment.client
        flow_id = Ingest(client).flow()
        client.post(f"/flows/{flow_id}/storage", json={"limit": 1})
        [backend] = client.get("/service/storage-backends").json

    status, output = check(tmp_path, before.replace("objects.main", "objects.studio"))
    assert status == 1
    assert "objects.main: FAILS: objects lie in it" in output
    assert f'say id = "{backend["id"]}"' in output

    renamed = before.replace("[objects.main]", f"[objects.studio]\nid = '{backend['id']}'")
    assert check(tmp_path, renamed)[0] == 0
