"""Plugins that are made on the spot, to see what the loader says of them."""

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that makes a plugin importable: a module and its `.dist-info`."""
    modules: list[str] = []

    def install_one(name: str, source: str, distribution: str | None = None) -> None:
        distribution = distribution or f"made-{name}"
        folder = tmp_path / distribution
        info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        module = f"{distribution}_{name}".replace("-", "_")
        (folder / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.4\nName: {distribution}\nVersion: 1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[tams_gateway]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(folder)
        modules.append(module)

    yield install_one
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def only_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the plugins of this environment, so that messages list just those of the test."""
    entry_points = importlib.metadata.entry_points

    def made(**params: str) -> importlib.metadata.EntryPoints:
        return importlib.metadata.EntryPoints(
            point
            for point in entry_points(**params)
            if point.dist is not None and point.dist.name.startswith("made-")
        )

    monkeypatch.setattr("tams_gateway.plugin.loader.entry_points", made)
