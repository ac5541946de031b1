"""`tams-gateway plugins` lists what is installed and selected, and every option."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tams_gateway.cli.main import main

GUESTS = Path(__file__).parent.parent / "plugins"


def listed(path: Path, text: str) -> str:
    config = path / "tams.toml"
    config.write_text(text)
    done = CliRunner().invoke(main, ["plugins", "--config", str(config)])
    assert done.exit_code == 0
    return done.output


def test_installed_plugins_are_listed_with_their_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for guest in ("guest_auth", "guest_sink"):
        monkeypatch.syspath_prepend(GUESTS / guest)
    output = listed(tmp_path, "[metadata]\nplugin = 'memory'\n[[events]]\nplugin = 'guest-sink'")
    assert (
        "guest-sink (guest-sink 1.0), selected by events[0]\n"
        "  [[events]] Events as lines of JSON in a file.\n"
        "    path: text (required)\n"
        "    failures: integer (0)\n"
        "  command recorded: Print how many events a file holds.\n"
    ) in output
    assert "guest-auth (guest-auth 1.0), not selected\n" in output
    assert "    keys: table of secret (required)\n" in output
    assert '    header: text ("x-api-key")\n' in output
    assert "memory (tams-gateway-memory 0.1.0), selected by metadata\n" in output


def test_a_plugin_that_is_selected_but_not_installed_is_listed(tmp_path: Path) -> None:
    output = listed(tmp_path, "[metadata]\nplugin = 'vsat'")
    assert "vsat (not installed), selected by metadata\n" in output
