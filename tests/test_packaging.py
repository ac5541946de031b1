"""Each folder of `plugins` is one distribution, and the tools know all of them."""

import configparser
import tomllib
from pathlib import Path

import pytest

from tams_gateway.plugin.loader import OWN

ROOT = Path(__file__).parent.parent
FOLDERS = sorted(path.name for path in (ROOT / "plugins").iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_plugins_is_a_distribution_of_its_name(folder: str) -> None:
    project = tomllib.loads((ROOT / "plugins" / folder / "pyproject.toml").read_text())["project"]
    assert f"tams-gateway-{folder}" == project["name"]
    names = {name for name, other in OWN.items() if other == folder}
    assert names == set(project["entry-points"]["tams_gateway"])
    assert (ROOT / "plugins" / folder / project["readme"]).is_file()
    assert (ROOT / "plugins" / folder / f"tams_gateway_{folder}" / "__init__.py").is_file()


def test_the_tests_run_with_every_plugin() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    deps = tox["testenv"]["deps"].split("\n")
    installed = [dep.removeprefix("-e plugins/") for dep in deps if dep.startswith("-e plugins/")]
    assert set(FOLDERS) == set(installed)


def test_the_loader_knows_what_to_install_of_this_repository() -> None:
    """From a folder: a name that nobody holds could be registered by anybody."""
    assert FOLDERS == sorted(set(OWN.values()))


def test_the_guide_lists_every_plugin() -> None:
    guide = (ROOT / "plugins" / "README.md").read_text()
    listed = {name for name in FOLDERS if f"({name}/README.md)" in guide}
    assert set(FOLDERS) == listed
