"""The ready-made configs load, and their README lists every key as it is."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tams_gateway.assembly import assemble
from tams_gateway.auth.access import AccessSettings
from tams_gateway.auth.rates import RateSettings
from tams_gateway.cli.plugins import options
from tams_gateway.operations.gateway import Limits
from tams_gateway.plugin.loader import load as load_plugin
from tams_gateway.selection import select
from tams_gateway.settings import ObjectsSettings, ServeSettings, ServiceSettings, load

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "config").glob("*.toml"))
ELSEWHERE = {"s3.toml", "vast-s3.toml"}
"""Those that need a server: the tests of their plugin open them."""
README = (ROOT / "config" / "README.md").read_text()


@pytest.mark.parametrize(
    "path", [path for path in CONFIGS if path.name not in ELSEWHERE], ids=lambda path: path.name
)
def test_a_ready_made_config_opens(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(path, {})
    select(settings).check_workers(settings.serve.workers)
    assembly = assemble(settings)
    try:
        assert [opened.check().ok for opened in assembly.opened.values()] == [True] * len(
            assembly.opened
        )
    finally:
        assembly.close()


def test_the_embedded_default_is_the_config_for_sqlite() -> None:
    written_out, embedded = load(ROOT / "config" / "sqlite.toml", {}), load(None, {})
    for section in ("service", "serve", "limits", "auth", "events"):
        assert getattr(written_out, section) == getattr(embedded, section)
    shown, hidden = select(written_out), select(embedded)
    assert [one.options for one in shown] == [one.options for one in hidden]
    assert [one.key for one in shown] == [one.key for one in hidden]


def test_the_readme_lists_every_config() -> None:
    assert [path.name for path in CONFIGS] == sorted(re.findall(r"^\| \[(\S+)\]", README, re.M))


@pytest.mark.parametrize(
    ("section", "struct"),
    [
        ("[service]", ServiceSettings),
        ("[serve]", ServeSettings),
        ("[objects.NAME]", ObjectsSettings),
        ("[limits]", Limits),
        ("[access]", AccessSettings),
        ("[rates]", RateSettings),
    ],
)
def test_the_readme_lists_every_key_with_its_type_and_default(
    section: str, struct: type[msgspec.Struct]
) -> None:
    expected = [
        (name, type_.removesuffix(" or nothing"), default)
        for name, type_, default in options(struct)
    ]
    assert expected == [tuple(row[:3]) for row in rows(f"`{section}`")]


def test_the_readme_lists_every_option_of_the_plugins_here() -> None:
    expected = []
    for project in sorted((ROOT / "plugins").glob("*/pyproject.toml")):
        points = tomllib.loads(project.read_text())["project"]["entry-points"]["tams_gateway"]
        for name in points:
            for section, provider in load_plugin(name).providers.items():
                listed = list(options(provider.settings)) or [("", "", "")]
                expected += [(name, section, *option) for option in listed]
    assert sorted(expected) == sorted(tuple(row[:5]) for row in rows("Options of the plugins here"))


def rows(heading: str) -> Iterator[list[str]]:
    """Go through the rows of the table below a heading, without marks of code."""
    text = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    for line in re.findall(r"^\| (?:`.*|[^|]*`.*)$", text, re.M):
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]
