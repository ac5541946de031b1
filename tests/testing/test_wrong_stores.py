"""The kit finds what is wrong: each store that is wrong on purpose, by the clause meant for it."""

from pathlib import Path

import pytest

from tests.testing import wrong_metadata, wrong_objects
from tests.testing.kit import Outcome, run

CAUGHT = {
    "LostUpdate": "compare and swap loses no step",
    "InclusiveEnd": "segments that only touch stored ones are added",
    "OffsetPaging": "pages neither repeat nor drop while others write",
    "HalfApply": "a change that fails at any position changes nothing",
    "TwoCommits": "a process that is killed at any step of apply leaves all or nothing",
    "StaleRead": "what one process wrote every other sees at once",
    "DroppedTag": "a record comes back as it was put",
    "UnstableSort": "a listing has what meets every condition in order",
    "LateEvent": "a reader of events misses none while others write",
    "LeakedCursor": "calls leave nothing open",
    "LeakedFile": "calls leave nothing open",
    "SwallowedError": "every method answers rightly or raises a store error",
    "ForeignError": "every method answers rightly or raises a store error",
    "VersionsAgain": "a version never comes again",
    "WholeFlow": "a query by time costs the same in a long flow",
    "ForgetfulBackup": "a snapshot holds all that is there",
    "TornRead": "a reader never sees half an apply",
}
"""The clause that is meant for each metadata store."""

COPY = "a copy within the server is an object of its own"

CAUGHT_OBJECTS = {
    "HalfWritten": "failing chunks leave nothing",
    "ReadableTooSoon": "what is still being written is not there",
    "ServesDeleted": "a version is deleted alone",
    "OneVersion": "the latest upload counts",
    "ShortRange": "any range is the slice of the bytes",
    "CopiesByName": COPY,
    "KeysAsPaths": "no key leads out of the place of the store",
    "WritesInPlace": "a process that is killed at any step of a write leaves all or nothing",
}
"""The clause that is meant for each object store."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the wrong stores are a distribution, as pip would leave it."""
    folder = tmp_path_factory.mktemp("installed")
    metadata = folder / "wrong-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong\nVersion: 1.0\n")
    names = [f"{name} = {wrong_metadata.__name__}:{name}" for name in CAUGHT]
    objects = ("Copying", *CAUGHT_OBJECTS)
    names += [f"{name} = {wrong_objects.__name__}:{name}" for name in objects]
    (metadata / "entry_points.txt").write_text("\n".join(["[tams_gateway]", *names]))
    return folder


def prove(clause: str, installed: Path, folder: Path, *chosen: str) -> Outcome:
    return run(folder, *chosen, "-k", f"test_{clause.replace(' ', '_')}", path=installed)


def assert_caught(clause: str, installed: Path, folder: Path, *chosen: str) -> None:
    found = prove(clause, installed, folder, *chosen)

    assert 1 == found.status, found.text
    assert any(failed.startswith(clause) for failed in found.clauses("FAILED")), found.text
    assert "  why it matters: " in found.text
    assert "  what was seen: " in found.text


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CAUGHT)
def test_a_wrong_metadata_store_is_caught_by_the_clause_meant_for_it(
    name: str, installed: Path, tmp_path: Path
) -> None:
    chosen = ("--tams-metadata", name, "--tams-option", "path={tmp}/wrong.db")
    assert_caught(CAUGHT[name], installed, tmp_path, *chosen, "--tams-segments", "20000")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CAUGHT_OBJECTS)
def test_a_wrong_object_store_is_caught_by_the_clause_meant_for_it(
    name: str, installed: Path, tmp_path: Path
) -> None:
    assert_caught(CAUGHT_OBJECTS[name], installed, tmp_path, "--tams-objects", name)


def test_a_store_that_copies_as_it_promises_is_proven(installed: Path, tmp_path: Path) -> None:
    """Else a clause that no store meets could be one that no store can meet."""
    found = prove(COPY, installed, tmp_path, "--tams-objects", "Copying")

    assert 0 == found.status, found.text
    assert "1 clauses proven, 0 failed, 0 skipped" in found.text
