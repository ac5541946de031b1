"""The published kit on the plugin: with the tables as they are, and with one for the kit's kind."""

import os
from pathlib import Path

import pytest
import structlog
from tams_gateway_vast.metadata import VastMetadata
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.tables.columns import flag, number, of_field, text
from tams_gateway_vast.tables.kind_tables import record_table
from tams_gateway_vast.tables.layout import Layouts

from tams_gateway.plugin.loader import Plugin
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.testing.metadata_listings import ListingsContract
from tams_gateway.testing.metadata_machine import MachineContract
from tams_gateway.testing.metadata_records import RecordsContract
from tams_gateway.testing.metadata_segments import SegmentsContract
from tams_gateway.testing.metadata_store import MetadataStoreContract
from tams_gateway.testing.opening import Opener
from tests.testing.kit import run

WHOLE = "TAMS_KIT_WHOLE" in os.environ
HISTORIES = 20 if WHOLE else 3
"""Each of them is some five hundred requests to the test server."""

SPEED = ("--tams-segments", "10000") if WHOLE else ("-k", "not costs_the_same")
"""That clause takes the time of ten thousand requests; `test_segments.py` counts them, and rows.
The test server scans blocks of 65536 rows, so that longer flows would measure it."""

THINGS = record_table(
    "kit_things",
    of_field(number("number"), "number"),
    of_field(flag("flag"), "flag"),
    of_field(text("text"), "text"),
)
"""A table of its own for the kind of which the kit keeps most, as the core's kinds have."""


class TypedOpener(Opener[MetadataStore]):
    """Opens stores that have a table for that kind."""

    def _opened(self, metadata: MetadataStore | None) -> MetadataStore:
        settings = self.settings()
        assert isinstance(settings, Settings)
        layouts = Layouts({"kit_thing": THINGS})
        return VastMetadata(settings, structlog.get_logger(), lambda: 0.0, layouts)


class TestTypedTables(RecordsContract, ListingsContract, SegmentsContract, MachineContract):
    """What is pushed down, and what stands in typed columns and in tables of sets."""

    @pytest.fixture
    def opener(self, options: dict[str, str]) -> Opener[MetadataStore]:
        return TypedOpener(Plugin.metadata_store, "vast", options)

    store = MetadataStoreContract.store

    @pytest.fixture
    def histories(self) -> int:
        return HISTORIES


@pytest.mark.timeout(600)
def test_the_store_keeps_its_contract(tmp_path: Path, options: dict[str, str]) -> None:
    """By the command of the docs, with the kinds that have no table."""
    given = [
        part
        for key, value in {**options, "schema": "{unique}"}.items()
        for part in ("--tams-option", f"{key}={value}")
    ]

    lean = ("--tams-histories", str(HISTORIES), *SPEED)

    found = run(tmp_path, "--tams-metadata", "vast", *given, *lean)

    assert 0 == found.status, found.text
    assert [] == found.clauses("FAILED")
