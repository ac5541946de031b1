"""A plugin that is made for other contracts is refused wherever it would be used."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tams_gateway import __version__
from tams_gateway.cli.main import main
from tams_gateway.plugin.provider import API

SOURCE = """
import msgspec
from tams_gateway.plugin import Provider, hookimpl

class Settings(msgspec.Struct):
    pass

@hookimpl
def tams_metadata_store():
    return Provider("other", Settings, lambda settings, context: None, "A store.", api={api})
"""

CONTRACTS = f"of the plugin contracts, tams-gateway {__version__} has version {API}: upgrade"

Run = Callable[[str], tuple[int, str]]


@pytest.fixture(params=[(API + 1, "tams-gateway"), (API - 1, "the plugin")], ids=["newer", "older"])
def refusal(request: pytest.FixtureRequest, install: Callable[..., None]) -> str:
    """Install a plugin of another version; return what is to be said of it."""
    api, older = request.param
    install("other", SOURCE.format(api=api))
    return f"plugin 'other' (made-other 1.0) is made for version {api} {CONTRACTS} {older}\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a command on a config that selects it."""
    path = tmp_path / "tams.toml"
    path.write_text("[metadata]\nplugin = 'other'\n[objects.main]\nplugin = 'memory'\n")

    def invoke(command: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, [command, "--config", str(path)])
        return done.exit_code, done.output.replace(f"{path}: ", "")

    return invoke


@pytest.mark.parametrize("command", ["serve", "check"])
def test_what_would_open_it_refuses_to_start_and_says_what_to_upgrade(
    command: str, refusal: str, run: Run
) -> None:
    assert run(command) == (1, f"Error: metadata.plugin: {refusal}")


def test_the_list_of_plugins_goes_on_behind_it(refusal: str, run: Run) -> None:
    status, output = run("plugins")
    assert status == 0
    assert f"other (made-other 1.0), selected by metadata\n  unusable: {refusal}" in output
    assert "memory (tams-gateway-memory 0.1.0), selected by objects.main\n" in output
