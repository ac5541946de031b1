"""Whether the files of a database are still those that were opened is seen at each commit."""

import os
import time
from pathlib import Path

import pytest
from tams_gateway_sqlite.files import Files

LONG_AGO = 10**18


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "tams.db"
    path.parent.mkdir()
    for ending in ("", "-wal", "-shm", "-marks"):
        path.with_name(f"tams.db{ending}").touch()
    return path


def settle(path: Path) -> None:
    os.utime(path.parent, ns=(LONG_AGO, LONG_AGO))


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-marks"])
@pytest.mark.parametrize("settled", [False, True])
def test_a_file_that_was_moved_or_replaced_is_missed_until_it_is_back(
    path: Path, settled: bool, ending: str
) -> None:
    files = Files(path)
    if settled:
        settle(path)
    assert files.are_there()
    assert files.are_there()
    one = path.with_name(f"tams.db{ending}")
    aside = one.rename(path.with_name("aside"))
    assert not files.are_there()
    one.touch()
    assert not files.are_there()
    aside.rename(one)
    assert files.are_there()


def test_a_directory_that_was_moved_or_replaced_is_missed(path: Path) -> None:
    files = Files(path)
    settle(path)
    assert files.are_there()
    aside = path.parent.rename(path.parent.with_name("aside"))
    assert not files.are_there()
    path.parent.mkdir()
    assert not files.are_there()
    for one in aside.iterdir():
        path.with_name(one.name).touch()
    settle(path)
    assert not files.are_there()


def test_a_change_within_the_same_tick_of_the_clock_is_not_missed(path: Path) -> None:
    files = Files(path)
    now = time.time_ns()
    os.utime(path.parent, ns=(now, now))
    assert files.are_there()
    path.unlink()
    os.utime(path.parent, ns=(now, now))
    assert not files.are_there()


def test_nothing_but_the_directory_is_looked_at_while_it_does_not_change(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look is 3 us of a commit."""
    files = Files(path)
    settle(path)
    assert files.are_there()
    looked: list[object] = []
    stat = os.stat

    def noted(one: str) -> os.stat_result:
        looked.append(one)
        return stat(one)

    monkeypatch.setattr(os, "stat", noted)
    assert files.are_there()
    assert [str(path.parent)] == looked
