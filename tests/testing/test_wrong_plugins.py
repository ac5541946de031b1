"""The kit finds what is wrong: each plugin that is wrong on purpose, by the clause meant for it."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.testing import wrong_auth, wrong_metadata, wrong_objects, wrong_sinks, wrong_watches
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
    "JoinsForwards": "a query by time returns what overlaps",
    "ForgetfulBackup": "a snapshot holds all that is there",
    "TornRead": "a reader never sees half an apply",
}
"""The clause that is meant for each metadata store."""

UNDER_A_WATCH = "what was read under a watch that stays is so"

CAUGHT_WATCHES = {
    "WatchesRecords": "a watch moves with every change of what it watches",
    "OwnMarks": "a watch moves before a change of another process is acknowledged",
    "MovesBefore": UNDER_A_WATCH,
    "MovesBehind": UNDER_A_WATCH,
    "MovesAlways": "most watches stay when something else changes",
}
"""The clause that is meant for each metadata store whose watches are wrong."""

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

RIGHT_KEY = "X-Key: alice-right-and-long"

CAUGHT_AUTH = {
    "LetsAllIn": "a request without credentials is nobodys",
    "ComparesStart": "credentials that differ in a character are denied",
    "Echoes": "a denial does not repeat the secret",
    "Breaks": "what strangers send lets nobody in",
    "DeniesWhenStoreIsAway": "a store that is away is no denial",
    "RemembersOne": "many threads are told the same",
}
"""The clause that is meant for each auth provider."""

CAUGHT_SINKS = {
    "NeedsEveryField": "events that were deleted with their source are taken",
    "KnowsNoSources": "events of every type are taken",
    "OnlyOnce": "events may come again",
    "KeepsAll": "calls leave nothing open",
    "RaisesInCheck": "it says whether it works",
    "LeavesThread": "closing ends it and releases what was opened",
}
"""The clause that is meant for each event sink."""


MEANT = {
    "metadata": {**CAUGHT, **CAUGHT_WATCHES},
    "objects": CAUGHT_OBJECTS,
    "auth": CAUGHT_AUTH,
    "events": CAUGHT_SINKS,
}
"""The clauses by the kind of plugin, and the name of it."""

WITH: dict[str, tuple[str, ...]] = {
    "metadata": ("--tams-option", "path={tmp}/wrong.db", "--tams-segments", "20000"),
    "objects": (),
    "auth": ("--tams-credentials", RIGHT_KEY),
    "events": (),
}
"""What stands behind the name of each."""

TOGETHER = [
    {kind: name for kind, name in zip(MEANT, names, strict=True) if name is not None}
    for names in zip_longest(*MEANT.values())
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the wrong plugins are a distribution, as pip would leave it."""
    folder = tmp_path_factory.mktemp("installed")
    metadata = folder / "wrong-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong\nVersion: 1.0\n")
    modules = {
        wrong_metadata: CAUGHT,
        wrong_watches: CAUGHT_WATCHES,
        wrong_objects: ("Copying", *CAUGHT_OBJECTS),
        wrong_auth: ("Right", *CAUGHT_AUTH),
        wrong_sinks: ("Deaf", *CAUGHT_SINKS),
    }
    names = [f"{one} = {module.__name__}:{one}" for module, all_ in modules.items() for one in all_]
    (metadata / "entry_points.txt").write_text("\n".join(["[tams_gateway]", *names]))
    return folder


def prove(clauses: Sequence[str], installed: Path, folder: Path, *chosen: str) -> Outcome:
    tests = " or ".join(f"test_{clause.replace(' ', '_')}" for clause in clauses)
    return run(folder, *chosen, "-k", tests, path=installed)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("wrong", TOGETHER, ids=lambda wrong: "-".join(wrong.values()))
def test_what_is_wrong_is_caught_by_the_clause_meant_for_it(
    wrong: Mapping[str, str], installed: Path, tmp_path: Path
) -> None:
    """One of each kind at once, since each run of the kit takes a while to start."""
    clauses = [MEANT[kind][name] for kind, name in wrong.items()]
    assert len(set(clauses)) == len(clauses), "which of them failed?"
    chosen = [
        part for kind, name in wrong.items() for part in (f"--tams-{kind}", name, *WITH[kind])
    ]

    found = prove(clauses, installed, tmp_path, *chosen)

    assert 1 == found.status, found.text
    for clause in clauses:
        assert any(failed.startswith(clause) for failed in found.clauses("FAILED")), found.text
    assert found.text.count("  why it matters: ") >= len(clauses)
    assert found.text.count("  what was seen: ") >= len(clauses)


def test_a_store_that_copies_as_it_promises_is_proven(installed: Path, tmp_path: Path) -> None:
    """Else a clause that no store meets could be one that no store can meet."""
    found = prove([COPY], installed, tmp_path, "--tams-objects", "Copying")

    assert 0 == found.status, found.text
    assert "1 clauses proven, 0 failed, 0 skipped" in found.text


def test_what_the_wrong_ones_get_wrong_can_be_right(installed: Path, tmp_path: Path) -> None:
    chosen = ("--tams-auth", "Right", "--tams-credentials", RIGHT_KEY, "--tams-events", "Deaf")
    found = run(tmp_path, *chosen, path=installed)

    assert 0 == found.status, found.text
