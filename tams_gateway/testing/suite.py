"""The contracts of stores, to be proven of any installed plugin, as docs/proving-a-plugin.md says.

pytest --pyargs tams_gateway.testing.suite --tams-metadata NAME --tams-option KEY=VALUE
"""

import uuid
from pathlib import Path

import pytest

from tams_gateway.plugin.loader import Plugin
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore
from tams_gateway.testing.metadata_store import MetadataStoreContract
from tams_gateway.testing.object_store import ObjectStoreContract
from tams_gateway.testing.opening import Opener


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new directory, the current one: relative paths lead to nothing old.

    It lies some levels below `tmp_path`, so that a test can look at what is outside of it.
    """
    place = tmp_path / "a" / "b" / "c" / "place"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def options(request: pytest.FixtureRequest, place: Path) -> dict[str, dict[str, str]]:
    """Return the options of each chosen plugin, such that a store is new and empty."""
    values = {"{tmp}": str(place), "{unique}": f"k{uuid.uuid4().hex[:12]}"}
    chosen = {kind: dict(options) for kind, (_, options) in _chosen(request).items()}
    for options in chosen.values():
        for key, text in options.items():
            for name, value in values.items():
                text = text.replace(name, value)
            options[key] = text
    return chosen


def _chosen(request: pytest.FixtureRequest) -> dict[str, tuple[str, dict[str, str]]]:
    chosen: dict[str, tuple[str, dict[str, str]]] = request.config.option.tams_chosen
    return chosen


class TestMetadataStore(MetadataStoreContract):
    """The metadata store of the plugin behind `--tams-metadata`."""

    @pytest.fixture
    def opener(
        self, request: pytest.FixtureRequest, options: dict[str, dict[str, str]]
    ) -> Opener[MetadataStore]:
        """Return what opens the store of this test."""
        name = _chosen(request)["metadata"][0]
        return Opener(Plugin.metadata_store, name, options["metadata"])


class TestObjectStore(ObjectStoreContract):
    """The object store of the plugin behind `--tams-objects`."""

    @pytest.fixture
    def opener(
        self, request: pytest.FixtureRequest, options: dict[str, dict[str, str]]
    ) -> Opener[ObjectStore]:
        """Return what opens the store of this test."""
        name = _chosen(request)["objects"][0]
        return Opener(Plugin.object_store, name, options["objects"])
