"""The contracts of plugins, to be proven of any installed plugin, as docs/proving-a-plugin.md says.

pytest --pyargs tams_gateway.testing.suite --tams-metadata NAME --tams-option KEY=VALUE
"""

from pathlib import Path

import pytest

from tams_gateway.auth.provider import AuthProvider, Credentials
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin.loader import Plugin, installed
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore
from tams_gateway.testing.auth_provider import AuthProviderContract, credentials
from tams_gateway.testing.event_sink import EventSinkContract
from tams_gateway.testing.metadata_store import MetadataStoreContract
from tams_gateway.testing.object_store import ObjectStoreContract
from tams_gateway.testing.opening import Opener, placed


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
    return {kind: placed(options, place) for kind, (_, options) in _chosen(request).items()}


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


def _beside() -> Opener[MetadataStore] | None:
    """Return what opens a store for what is no store itself; None where `memory` is not there."""
    return Opener(Plugin.metadata_store, "memory") if "memory" in installed() else None


class TestAuthProvider(AuthProviderContract):
    """The auth provider of the plugin behind `--tams-auth`."""

    @pytest.fixture
    def opener(
        self, request: pytest.FixtureRequest, options: dict[str, dict[str, str]]
    ) -> Opener[AuthProvider]:
        """Return what opens the provider of this test."""
        name = _chosen(request)["auth"][0]
        return Opener(Plugin.auth_provider, name, options["auth"], _beside())

    @pytest.fixture
    def accepted(self, request: pytest.FixtureRequest) -> list[Credentials]:
        """Return what `--tams-credentials` says."""
        return [credentials(text) for text in request.config.option.tams_credentials]


class TestEventSink(EventSinkContract):
    """The event sink of the plugin behind `--tams-events`."""

    @pytest.fixture
    def opener(
        self, request: pytest.FixtureRequest, options: dict[str, dict[str, str]]
    ) -> Opener[EventSink]:
        """Return what opens the sink of this test."""
        name = _chosen(request)["events"][0]
        return Opener(Plugin.event_sink, name, options["events"], _beside())
