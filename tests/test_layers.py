"""Imports point one way, as the docs say; read from the source, not by importing it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tams_gateway"

ALLOWED = {
    "domain": set(),
    "storage": {"domain", "auth", "events"},
    "auth": {"domain"},
    "events": {"domain", "auth"},
    "operations": {"domain", "storage", "auth", "events"},
    "jobs": {"domain", "storage", "auth", "events", "operations"},
    "backup": {"domain", "storage", "operations", "jobs"},
    "plugin": {"domain", "storage", "auth", "events", "operations"},
    "http": {"domain", "storage", "auth", "events", "operations", "plugin", "settings", "log"},
}
"""For each layer, the others that it may import; what is not named here stands above them all.

`settings` are plain structs, and `log` imports nothing of ours. Of the operations `plugin` imports
only what a request and a response are, and what takes over what another server kept; of `plugin`
`http` only what a route of a plugin is, and when a plugin blocks.
"""

CONTRACTS = {"plugin", "domain", "storage", "auth", "events"}
"""What a plugin may import of the gateway; its tests may use `testing` as well."""

FALCON = {"wsgi_adapter", "asgi_adapter", "falcon_app"}
"""The modules of `http` that may import Falcon."""


def modules(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*.py") if "tests" not in path.parts[len(ROOT.parts) :]
    )


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted names of all that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def own(name: str) -> str | None:
    """Return the layer of ours that a dotted name lies in, None for a foreign one."""
    parts = name.split(".")
    return parts[1] if parts[0] == "tams_gateway" and len(parts) > 1 else None


def plugins() -> list[Path]:
    return sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


@pytest.mark.parametrize("name", ALLOWED)
def test_a_layer_imports_only_what_lies_below_it(name: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {imported}"
        for path in modules(PACKAGE / name)
        for imported in imports(path)
        if (target := own(imported)) and target != name and target not in ALLOWED[name]
        # What the package itself says of its version.
        if target not in ("API_VERSION", "__version__")
    }

    assert found == set()


def test_every_layer_is_there() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}

    assert set(ALLOWED) | {"cli", "testing"} == folders


def test_nothing_that_serves_imports_the_test_kit() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in modules(PACKAGE)
        if layer(path) != "testing" and "testing" in {own(name) for name in imports(path)}
    }

    assert found == set()


def test_nobody_imports_a_plugin() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(PACKAGE)
        for name in imports(path)
        if name.startswith("tams_gateway_")
    }

    assert found == set()


@pytest.mark.parametrize("folder", plugins(), ids=lambda folder: folder.name)
def test_a_plugin_imports_only_the_contracts(folder: Path) -> None:
    own_package = f"tams_gateway_{folder.name.replace('-', '_')}"
    sources = modules(folder / own_package)
    assert sources
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources
        for name in imports(path)
        if name.startswith("tams_gateway")
        if name.split(".")[0] != own_package and own(name) not in CONTRACTS
    }

    assert found == set()


def test_only_the_adapters_import_falcon() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in modules(PACKAGE)
        if any(name.split(".")[0] == "falcon" for name in imports(path))
    }

    assert found == {f"http/{name}.py" for name in FALCON}


def test_only_the_loader_imports_the_plugin_manager() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in modules(PACKAGE)
        if "PluginManager" in path.read_text()
    }

    assert found == {"plugin/loader.py"}


def test_domain_does_no_io_and_has_no_clock() -> None:
    """Pure: no sockets, files, threads or time of day; ids take their chance from `os.urandom`."""
    forbidden = {"socket", "time", "threading", "asyncio", "pathlib", "sqlite3", "random"}
    found = {
        f"{path.name}: {name}"
        for path in modules(PACKAGE / "domain")
        for name in imports(path)
        if name.split(".")[0] in forbidden
    }

    assert found == set()
