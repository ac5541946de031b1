"""`tams-gateway vast`: init, status, migrate, projections."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tams_gateway.cli.main import main
from tests.servers.vast import Server

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(server: Server, tmp_path: Path) -> Run:
    config = tmp_path / "tams.toml"
    config.write_text(
        f"[metadata]\nplugin = 'vast'\nendpoints = {server.endpoints}\n"
        f"access_key = '{server.access}'\nsecret_key = '{server.secret}'\n"
        f"bucket = '{server.bucket}'\nauto_init = false\nshards = 4\npatience = 2\n"
        f"[objects.main]\nplugin = 'filesystem'\npath = '{tmp_path}/media'\n"
    )

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["vast", *arguments, "--config", str(config)])
        return done.exit_code, done.output

    return run


def test_tables_are_made_once_and_shown(run: Run) -> None:
    status, output = run("status")
    assert status == 1
    assert "run: tams-gateway vast init" in output
    assert run("migrate")[0] == 1

    assert run("init") == (0, "vastdb/tams: made, version 1 of the tables\n")
    assert run("init") == (0, "vastdb/tams: is there, version 1 of the tables\n")
    assert run("migrate") == (0, "vastdb/tams: is of version 1\n")

    status, output = run("status")
    assert status == 0, output
    assert ": vast 5.4.0.0\n" in output
    assert "vastdb/tams: guard auto, 4 shards\n" in output
    assert "version 1 of the tables; this plugin takes 1\n" in output
    lines = {line.split()[0]: line.split()[1:] for line in output.splitlines()}
    assert lines["shards"][0] == "4"
    assert lines["shards"][2] == "-"
    assert lines["segments"][0] == "0"
    assert lines["segments"][2] == "done"


def test_projections_are_made_shown_and_dropped(server: Server, run: Run) -> None:
    server.switches = msgspec.structs.replace(server.switches, version="5.3.0.0")
    assert run("projections", "create")[0] == 1
    run("init")

    status, output = run("projections", "list")
    assert status == 0
    assert (
        "segments: by_flow_id_life_end_ns (missing), sorted by flow_id, life, end_ns; with start_ns"
        in output
    )
    status, output = run("projections", "create")
    assert status == 0
    assert "flows: by_id made\n" in output
    assert run("projections", "create") == (0, "0 projections made\n")
    assert "by_flow_id_life_end_ns (there)" in run("projections", "list")[1]
    status, output = run("projections", "status")
    assert status == 0
    assert "missing" not in output
    assert "tags: by_tag_name_tag_value dropped\n" in run("projections", "drop")[1]
    assert "missing" in run("projections", "status")[1]


def test_a_config_of_another_plugin_is_told(tmp_path: Path) -> None:
    config = tmp_path / "tams.toml"
    config.write_text(
        f"[metadata]\nplugin = 'sqlite'\npath = '{tmp_path}/tams.db'\n"
        f"[objects.main]\nplugin = 'filesystem'\npath = '{tmp_path}/media'\n"
    )

    done = CliRunner().invoke(main, ["vast", "init", "--config", str(config)])

    assert done.exit_code == 1
    assert 'Error: [metadata] of the config has no plugin = "vast"\n' in done.output
