"""The command behind docs/performance.md measures what it says, on each server."""

from pathlib import Path

import pytest

from benchmarks import goals, layers, table
from tests.servers.process import SERVERS


@pytest.mark.parametrize("server", SERVERS)
def test_the_gateway_is_measured_beside_the_bare_app(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = table.Run(rounds=1, seconds=0.02, folder=tmp_path, long=2000)
    kinds = ("get-flow", "post-segment", "put-media-small")
    rows = [
        row
        for row in (*goals.ROWS, *goals.FURTHER)
        if row.store == "sqlite" and row.operation in kinds
    ]
    table.beside_bare(run, server, "sqlite", rows)
    run.disk.close()
    assert [row.title for row in rows] == [one["title"] for one in run.found]
    assert len(rows) == capsys.readouterr().out.count(f"| {server} |")
    for one in run.found:
        assert 0 < one["uncorrected"]
        assert 0 < one["figure"]


def test_what_the_disk_takes_too_long_is_taken_off_once_for_all_callers(tmp_path: Path) -> None:
    disk = table.machine.Disk(tmp_path)
    disk.close()
    disk.times.append(goals.SYNC + 0.001)

    class Slow:
        rates = [100.0]
        connections = 2

    load = Slow()
    table._correct(load, disk)  # type: ignore[arg-type]
    assert [pytest.approx(1 / (0.01 - 0.0005))] == load.rates


def test_every_layer_has_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["layers", "--store", "sqlite", "--operation", "post-segment", "--seconds", "0.1"]
    monkeypatch.setattr("sys.argv", argv)
    layers.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines()[2:]]
    lines = {row[1].strip(): float(row[2]) for row in rows}
    assert {*layers.LAYERS, "in all"} == lines.keys()
    for layer in ("Falcon", "adapter", "pipeline", "operation", "metadata store", "SQL", "commit"):
        assert 0 < lines[layer]
