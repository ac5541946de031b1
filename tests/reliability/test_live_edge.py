"""A short live edge; the ten minutes are `python -m tests.reliability live-edge`."""

import sqlite3
from pathlib import Path

import pytest

from tams_gateway.testing.waiting import eventually
from tests.reliability.live_edge import FLOWS, WINDOW, LiveEdge
from tests.servers.process import serving


@pytest.mark.timeout(120)
def test_readers_of_a_live_edge_miss_nothing_and_nothing_is_left_behind_it(tmp_path: Path) -> None:
    """R-SEG-34, R-OBJ-08: of what is outside the window nothing stays, on disk or in the store."""
    with serving(tmp_path, "--workers", "2") as server:
        figures = LiveEdge(server, size=10_000, rate=4).run(minutes=10, minute=1.5)

        assert figures.segments == figures.read
        standing = FLOWS * WINDOW
        assert figures.segments > standing
        assert eventually(lambda: _files(tmp_path / "data" / "objects") == standing), standing
    kinds = ("object", "flow", "source", "deletion_request")
    assert dict(zip(kinds, (standing, FLOWS, FLOWS, 0), strict=True)) == {
        kind: _count(tmp_path, f"record:{kind}") for kind in kinds
    }
    assert standing == _count(tmp_path, "segments")
    assert 0 == _count(tmp_path, "events")
    folders = [one for one in (tmp_path / "data" / "objects").rglob("*@") if one.is_dir()]
    assert standing == len(folders)


def _files(folder: Path) -> int:
    return sum(one.is_file() for one in folder.rglob("*.ts"))


def _count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "data" / "tams.db") as connection:
        found: int = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
    connection.close()
    return found
