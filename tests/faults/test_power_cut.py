"""The power goes while clients are at work: all that was acknowledged is there, and nothing half.

What the server does to its directory is recorded (`recording/`). At its syncs and at random points
between them the directory is rebuilt as a harsh disk could have it then, and opened.
TAMS_POWER_CUTS=1000 in the environment makes so many cuts at random points and one on each side of
every sync; TAMS_POWER_SEED repeats a run.
"""

import os
import random
from pathlib import Path

import pytest

from tests.faults.recording.disk import NOTHING, Disk
from tests.faults.recording.power import Cuts, Run, recorded
from tests.faults.recording.recorder import build, contents

SEED = int(os.environ.get("TAMS_POWER_SEED", random.randrange(2**32)))
CUTS = int(os.environ.get("TAMS_POWER_CUTS", "0"))
REQUESTS = 40 if CUTS else 12
"""Of each writer."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build(tmp_path_factory.mktemp("recorder"))
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def run(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return recorded(tmp_path_factory.mktemp("recorded"), library, SEED, REQUESTS)


def points(run: Run, luck: random.Random) -> list[int]:
    """Return where to cut: a share of the syncs and of all positions, or each sync."""
    syncs, end = run.points(), run.record.position()
    if CUTS:
        return sorted([*syncs, *(luck.randrange(end + 1) for _ in range(CUTS))])
    return sorted([*luck.sample(syncs, 20), *(luck.randrange(end + 1) for _ in range(20))])


def test_the_record_tells_all_that_was_done(run: Run, tmp_path: Path) -> None:
    """Else the cuts below would judge another directory than the server made."""
    rebuilt = tmp_path / "rebuilt"
    Cuts(run, tmp_path, SEED).everything(rebuilt)

    expected, found = contents(run.record.root), contents(rebuilt)
    shared = {name for name in expected if name.endswith(("-shm", "-marks", ".toml"))}
    assert expected.keys() - shared == found.keys() - shared
    assert [] == [name for name in expected.keys() - shared if expected[name] != found[name]]


@pytest.mark.timeout(3600 if CUTS else 300)
def test_what_was_acknowledged_survives_a_power_cut(run: Run, tmp_path: Path) -> None:
    chosen = points(run, random.Random(SEED))
    try:
        Cuts(run, tmp_path, SEED).cut(chosen, Disk(run.record.root))
    except AssertionError as error:
        raise AssertionError(f"TAMS_POWER_SEED={SEED}: {error}") from error


@pytest.mark.parametrize(
    ("what", "of_directories"),
    [("data/tams.db-wal", False), ("main", True)],
    ids=["commits", "names"],
)
def test_a_sync_that_is_left_out_is_noticed(
    run: Run, tmp_path: Path, what: str, of_directories: bool
) -> None:
    """The test above can fail: on a disk that does not keep commits, or the names of uploads."""

    def ignored(path: str, is_directory: bool) -> bool:
        return is_directory == of_directories and path.startswith(what)

    end = run.record.position()
    with pytest.raises(AssertionError):
        Cuts(run, tmp_path, SEED).cut([end], Disk(run.record.root, ignored), NOTHING)
