"""The command line: its own commands first, and those of plugins, whatever state they are in."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tams_gateway import __version__
from tams_gateway.cli.main import main

GUEST_SINK = Path(__file__).parent.parent / "plugins" / "guest_sink"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a plugin that cannot be imported."""
    info = tmp_path / "broken" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tams_gateway]\nbroken = nothing_there\n")
    monkeypatch.syspath_prepend(info.parent)


def test_python_m_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tams_gateway", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"tams-gateway {__version__}, TAMS API 8.2\n"
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["serve", "check", "plugins"])
def test_each_command_of_our_own_is_in_the_module_of_its_name(name: str) -> None:
    command = getattr(import_module(f"tams_gateway.cli.{name}"), name)
    assert isinstance(command, click.Command)
    assert command.name == name


def test_a_plugin_adds_commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(GUEST_SINK)
    assert "recorded" in CliRunner().invoke(main, ["--help"]).output
    events = tmp_path / "events"
    events.write_text("1\n2\n")
    assert CliRunner().invoke(main, ["recorded", str(events)]).output == "2\n"


@pytest.mark.usefixtures("broken")
def test_a_broken_plugin_is_told_of_and_keeps_no_command_from_running() -> None:
    listed = CliRunner().invoke(main, ["--help"])
    assert listed.exit_code == 0
    assert "Warning: plugin 'broken' (broken 1.0) does not load: " in listed.stderr
    own = CliRunner().invoke(main, ["check", "--help"])
    assert (own.exit_code, own.stderr) == (0, "")


def test_a_command_that_nobody_has_is_refused() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2


def test_a_mistake_in_the_config_is_one_line_and_no_success(tmp_path: Path) -> None:
    config = tmp_path / "a.toml"
    config.write_text("[metadata]\nplugin = 'vsat'\n[objects.main]\nplugin = 'memory'")
    done = CliRunner().invoke(main, ["check", "--config", str(config)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {config}: metadata.plugin: no plugin 'vsat'; installed:")
    assert done.stderr.count("\n") == 1


def test_two_distributions_of_one_plugin_are_one_line_and_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for distribution in ("first", "second"):
        info = tmp_path / distribution / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {distribution}\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[tams_gateway]\ntwice = nothing_there\n")
        monkeypatch.syspath_prepend(info.parent)
    done = CliRunner().invoke(main, ["plugins"])
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: plugin 'twice' is in two distributions, second 1 and first 1: "
        "uninstall one of them\n"
    )
