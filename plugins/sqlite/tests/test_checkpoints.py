"""How commits leave the log."""

import threading
from pathlib import Path

import pytest
from tams_gateway_sqlite import checkpoints
from tams_gateway_sqlite.metadata import SqliteMetadata

from tams_gateway.testing.metadata_samples import put, record_of
from tams_gateway.testing.waiting import eventually


def test_commits_move_into_the_database_before_they_fill_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_EVERY", 20)
    path, others = tmp_path / "tams.db", _threads()
    store = SqliteMetadata(path)
    size = path.stat().st_size
    for number in range(20):
        store.apply([put(f"{number}")])

    assert eventually(lambda: path.stat().st_size > size)
    assert "19" == record_of(store, "19").id

    assert _threads() > others
    store.close()
    assert _threads() == others


def test_a_store_that_is_hardly_written_has_no_thread_for_it(tmp_path: Path) -> None:
    others = _threads()
    store = SqliteMetadata(tmp_path / "tams.db")
    store.apply([put("a")])

    assert _threads() == others
    store.close()


def _threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "checkpoints"}
