"""What can be used is documented, links lead somewhere, and the code in the guide works."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from tams_gateway import settings
from tams_gateway.cli.main import main
from tams_gateway.domain.errors import Refusal
from tams_gateway.http import problems
from tams_gateway.log import RequestLine
from tams_gateway.plugin import Context, Provider, hookspecs

ROOT = Path(__file__).parent.parent
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def section(markdown: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one that is not below it."""
    level = heading.partition(" ")[0]
    start = markdown.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{len(level)}}} ", markdown[start:], re.MULTILINE)
    return markdown[start : start + end.start()] if end else markdown[start:]


def blocks(markdown: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL)


def tables(markdown: str) -> set[str]:
    """Return the first cell of each row of the tables, where it is code."""
    return set(re.findall(r"^\| `([^`]+)` \|", markdown, re.MULTILINE))


def test_every_hook_is_documented() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("tams_")}
    assert hooks == tables(section(text("docs/writing-a-plugin.md"), "## The hooks")) & hooks


@pytest.mark.parametrize("struct", [Provider, Context])
def test_every_field_that_a_plugin_author_meets_is_documented(struct: type[msgspec.Struct]) -> None:
    documented = section(text("docs/writing-a-plugin.md"), f"### `{struct.__name__}`")
    assert set(struct.__struct_fields__) == tables(documented)


def commands() -> Iterator[click.Command]:
    """Return the gateway's own commands; those of plugins are told of by the plugins."""
    with click.Context(main) as context:
        for name in main.list_commands(context):
            command = main.get_command(context, name)
            assert command is not None
            assert command.callback is not None
            if command.callback.__module__.startswith("tams_gateway."):
                yield command


def test_every_command_and_option_is_documented() -> None:
    shared = section(text("docs/operation.md"), "## Commands")
    for command in commands():
        own = section(text("docs/operation.md"), f"### `tams-gateway {command.name}`")
        for one in command.params:
            names = [one.make_metavar(click.Context(command)).strip("[]")]
            for name in one.opts if isinstance(one, click.Option) else names:
                told = re.search(rf"`(tams-gateway \w+ )?{name}[ `]", own)
                assert told or (name == "--config" and name in shared)


def refusals(of: type[Refusal] = Refusal) -> Iterator[tuple[str, int]]:
    yield of.type, of.status
    for kind in of.__subclasses__():
        yield from refusals(kind)


def test_every_error_type_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", text("docs/operation.md"), re.MULTILINE)
    assert {*refusals(), (problems.INTERNAL, 500)} == {(type_, int(code)) for type_, code in rows}


def log_lines() -> Iterator[tuple[str, set[str]]]:
    """Return the event and the fields of each line that the gateway's own code writes."""
    for path in sorted((ROOT / "tams_gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=logger, attr=level),
                    args=[ast.Constant(value=str(event))],
                ) if level in LEVELS and "log" in ast.unparse(logger):
                    yield event, {word.arg for word in node.keywords if word.arg}


def test_every_event_and_field_of_the_log_is_documented() -> None:
    documented = section(text("docs/operation.md"), "## Logs")
    every_line = {"timestamp", "level", "event"}
    assert set(RequestLine.__struct_fields__) - every_line <= tables(documented)
    lines = dict(log_lines())
    assert "started" in lines
    for event, fields in lines.items():
        row = re.search(rf"^\| `{event}` \| .*$", documented, re.MULTILINE)
        assert row is not None, f"{event} is not documented"
        assert fields == {field for field in fields if f"`{field}`" in row[0]}, event


def anchors(markdown: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def markdown_files() -> list[str]:
    tops = (*ROOT.glob("*.md"), *(path for path in ROOT.iterdir() if path.is_dir()))
    paths = [
        path
        for top in tops
        if not top.name.startswith(".")
        for path in ([top] if top.is_file() else top.rglob("*.md"))
    ]
    return [str(path.relative_to(ROOT)) for path in sorted(paths)]


@pytest.mark.parametrize("name", markdown_files())
def test_relative_links_resolve(name: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", text(name), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, anchor = target.partition("#")
        if ":" not in path:
            file = (ROOT / name).parent / path if path else ROOT / name
            assert file.exists(), target
            assert not anchor or anchor in anchors(file.read_text()), target


@pytest.mark.parametrize("name", ["README.md", "docs/operation.md"])
def test_example_configs_are_valid(name: str, tmp_path: Path) -> None:
    shown = blocks(text(name), "toml")
    assert shown
    for number, block in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        path.write_text(block)
        assert settings.load(path, {}).source == str(path)


def test_the_hook_of_the_readme_is_that_of_the_guide() -> None:
    (shown,) = blocks(section(text("README.md"), "## Write a plugin"), "python")
    guide = blocks(
        section(text("docs/writing-a-plugin.md"), "## Write one in ten minutes"), "python"
    )
    assert guide[0].endswith(shown)


@pytest.mark.parametrize(
    ("heading", "guest"),
    [("## A metadata store", "guest_metadata"), ("## An object store", "guest_objects")],
)
def test_the_guide_shows_each_line_of_a_guest_store(heading: str, guest: str) -> None:
    rest = text(f"tests/plugins/{guest}/{guest}.py")
    for block in blocks(section(text("docs/writing-a-plugin.md"), heading), "python"):
        assert 1 == rest.count(block), block
        rest = rest.replace(block, "")
    assert "" == rest.strip()


def test_the_project_of_the_guide_is_that_of_a_guest_store() -> None:
    chapter = section(text("docs/writing-a-plugin.md"), "## Package, configure, prove")
    project, config = blocks(chapter, "toml")
    assert text("tests/plugins/guest_metadata/pyproject.toml") == project
    assert f'CONFIG = """\n{config}"""' in text("tests/plugins/test_guest_stores.py")


def test_every_option_of_the_kit_is_documented() -> None:
    declared = set(re.findall(r"--tams-[a-z]+", text("tams_gateway/testing/options.py")))
    kinds = {f"--tams-{kind}" for kind in ("metadata", "objects", "auth", "events")}
    assert declared | kinds == tables(text("docs/proving-a-plugin.md"))


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    """Return a folder with the files of the guide's plugin, installed as pip would do it."""
    markdown = section(text("docs/writing-a-plugin.md"), "## Write one in ten minutes")
    files = dict(re.findall(r"^`([\w.]+)`:.*?^```\w+\n(.*?)^```$", markdown, re.M | re.S))
    assert {"pyproject.toml", "tams_gateway_network.py", "test_network.py"} == files.keys()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["tams_gateway"]
    lines = "\n".join(f"{name} = {module}" for name, module in points.items())
    (info / "entry_points.txt").write_text(f"[tams_gateway]\n{lines}\n")
    (tmp_path / "config.toml").write_text(
        '[metadata]\nplugin = "memory"\n[objects.main]\nplugin = "memory"\n'
        + blocks(markdown, "toml")[-1]
    )
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_plugin_of_the_guide_opens(guide: Path) -> None:
    found = run(guide, "tams_gateway", "check", "--config", "config.toml")
    assert "auth[0]: ok: 1 networks" in found
    assert "auth[1]: ok: 2 networks" in found


def test_the_plugin_of_the_guide_passes_its_own_test(guide: Path) -> None:
    assert "1 passed" in run(guide, "pytest", "-q", "-p", "no:cacheprovider", "test_network.py")


def test_the_plugin_of_the_guide_satisfies_the_contract_by_its_types(guide: Path) -> None:
    found = run(guide, "mypy", "--strict", "--cache-dir", ".mypy", "tams_gateway_network.py")
    assert "no issues found" in found
