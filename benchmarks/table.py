"""Measures every figure of docs/performance.md that has a goal, by one command.

    python -m benchmarks.table [--short] [--server NAME] [--part NAME] [--json FILE]
                               [--s3 URL] [--vast URL]

The gateway runs as delivered (open mode, log on, log into a file), with new stores, beside a bare
Falcon app under the same server (`benchmarks.bare`). Both answer the same requests in turns. With
`--s3` or `--vast` its stores are on servers that are there already.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import goals, machine, servers
from .bare import Answer, save
from .load import report
from .load.operations import LENGTHY, OPERATIONS, Operation
from .load.rounds import Load, Ratio, take_turns
from .load.site import Site

PARTS = ("goals", "fresh", "further", "bulk", "long", "spread")
_LENGTH = 1000


class Run:
    """One run of the table: how long, where, and what has been found."""

    def __init__(self, rounds: int, seconds: float, folder: Path, long: int) -> None:
        self.rounds = rounds
        self.seconds = seconds
        self.folder = folder
        self.long = long
        self.disk = machine.Disk(folder)
        self.found: list[dict[str, Any]] = []
        self._bar = report.Bar()
        self._number = 0

    def new_folder(self) -> Path:
        """Return a folder that is not there yet."""
        self._number += 1
        return self.folder / str(self._number)

    def take_turns(self, title: str, loads: Sequence[Load], seconds: float | None = None) -> None:
        """Let loads take turns, and the disk between them."""

        def between(done: int) -> None:
            self.disk.measure()
            self._bar(title, done, self.rounds)

        take_turns(loads, self.rounds, seconds or self.seconds, between)

    def note(self, **found: Any) -> None:
        """Keep a figure, and show its line of the table."""
        self.found.append(found)
        low, high = (f"{one:.2f}" for one in found["ends"])
        goal = " | ".join(f"{one:g}" if one is not None else "" for one in found["goals"])
        cpu = "" if found.get("cpu") is None else f"{found['cpu']:.2f}"
        print(
            f"| {found['title']} | {found['server']} | {goal} |"
            f" {found['figure']:.2f} [{low}..{high}] | {cpu} | {_verdict(found)} |",
            flush=True,
        )


def _verdict(found: dict[str, Any]) -> str:
    first, second = found["goals"]
    if first is None:
        return ""
    if second is None:  # a ceiling
        return "reached" if found["figure"] <= first else "missed"
    if found["figure"] >= second:
        return "aim reached"
    return "reached" if found["figure"] >= first else "missed"


def beside_bare(run: Run, server: str, store: str, rows: Sequence[goals.Row]) -> None:
    """Measure rows on one server and store, each beside the bare app; all keep answers, or none."""
    with ExitStack() as stack:
        folder = run.new_folder()
        kept = all(row.kept for row in rows)
        site = stack.enter_context(
            servers.gateway(server, store, folder, log=folder / "log", kept=kept)
        )
        mine = {row.operation: _operation(site, row.operation) for row in rows}
        save(folder / "answers", {one.name: _answer(one) for one in mine.values()})
        twin = stack.enter_context(servers.bare(server, site, run.new_folder(), folder / "answers"))
        bare = {name: _operation(twin, name) for name in mine}
        for row in rows:
            one = Load(mine[row.operation], row.connections)
            other = Load(bare[row.operation], row.connections)
            run.take_turns(row.title, (one, other))
            figures = [one.figures(), other.figures()]
            raw = Ratio.of(one, other)
            if row.syncs:
                _correct(one, run.disk)
            ratio = Ratio.of(one, other)
            run.note(
                title=row.title,
                server=server,
                figure=ratio.median,
                ends=(ratio.lowest, ratio.highest),
                goals=row.goals.get(server, (None, None)),
                cpu=ratio.cpu,
                uncorrected=raw.median,
                loads=figures,
            )


def _operation(site: Site, name: str, length: int = _LENGTH) -> Operation:
    return OPERATIONS[name](site, f"{name}/{length}" if name in LENGTHY else name, length)


def _answer(operation: Operation) -> Answer:
    return Answer(operation.status, operation.answer)


def _correct(load: Load, disk: machine.Disk) -> None:
    """Take off what the disk's sync takes longer than it counts as.

    A commit serves all callers at most, so this is the least that it can have cost a request.
    """
    late = max(0.0, disk.seconds() - goals.SYNC) / load.connections
    load.rates[:] = [1 / max(1 / rate - late, 0.2 / rate) for rate in load.rates]


def bulk(run: Run, server: str, store: str) -> None:
    """Measure how many segments a second come by 1000 in a request, for each of single POSTs."""
    folder = run.new_folder()
    with servers.gateway(server, store, folder, log=folder / "log") as site:
        many = Load(_operation(site, "post-1000"), 1)
        single = Load(_operation(site, "post-segment"), 8)
        run.take_turns("bulk", (many, single))
        figures = [many.figures(), single.figures()]
        if _syncs(store):
            _correct(many, run.disk)
            _correct(single, run.disk)
        ratio = Ratio.of(many, single)
    run.note(
        title=f"segments/s, POST of 1000 by one caller / single POSTs by 8, {_title(store)}",
        server=server,
        figure=1000 * ratio.median,
        ends=(1000 * ratio.lowest, 1000 * ratio.highest),
        goals=goals.BULK,
        loads=figures,
    )


def long(run: Run, server: str, store: str) -> None:
    """Measure how much more reads cost in a long flow than in a short one; none is kept."""
    folder = run.new_folder()
    with servers.gateway(server, store, folder, log=folder / "log", kept=False) as site:
        site.progress = report.Bar()
        for name in ("get-100", "latest", "middle"):
            short, much = (Load(_operation(site, name, one)) for one in (_LENGTH, run.long))
            run.take_turns(name, (short, much))
            ratio = Ratio.of(short, much)
            run.note(
                title=f"{name}, flow of {run.long} / {_LENGTH} segments, {_title(store)}",
                server=server,
                figure=ratio.median,
                ends=(ratio.lowest, ratio.highest),
                goals=(goals.LONG, None),
                cpu=ratio.cpu,
                loads=[short.figures(), much.figures()],
            )


def spread(run: Run, server: str, store: str) -> None:
    """Measure the slowest hundredth of POSTs against the median, with 2 workers, 32 callers."""
    folder = run.new_folder()
    with servers.gateway(server, store, folder, workers=2, log=folder / "log") as site:
        ratios = []
        load = Load(_operation(site, "post-segment"), 32)
        seconds = max(run.seconds, 2.0)
        for _ in range(max(3, run.rounds // 3)):
            load = Load(load.operation, 32)
            run.disk.measure()
            take_turns((load,), 1, seconds)
            one = load.figures()
            ratios.append(one["p99_ms"] / one["p50_ms"])
    ordered = sorted(ratios)
    run.note(
        title=f"POST one segment, p99 / p50, 2 workers, 32 callers, {_title(store)}",
        server=server,
        figure=ordered[len(ordered) // 2],
        ends=(ordered[0], ordered[-1]),
        goals=(goals.SPREAD, None),
        loads=[load.figures()],
    )


def _title(store: str) -> str:
    return "SQLite" if store == "sqlite" else store


def _syncs(store: str) -> bool:
    """Whether its metadata are on the disk of this machine."""
    return _title(store).startswith("SQLite")


def _elsewhere(s3: str | None, vast: str | None) -> str | None:
    """Name the store that is on other servers, if any."""
    if s3 is None and vast is None:
        return None
    store = f"{'SQLite' if vast is None else 'VAST'} + {'files' if s3 is None else 'S3'}"
    servers.STORES[store] = {
        **({} if vast is None else servers.vast(vast)),
        **({} if s3 is None else servers.s3(s3)),
    }
    return store


def _rows(parts: Sequence[str], elsewhere: str | None) -> list[goals.Row]:
    if elsewhere is not None:
        return [*goals.elsewhere(elsewhere, syncs=_syncs(elsewhere))] if "goals" in parts else []
    listed = {"goals": goals.ROWS, "fresh": goals.FRESH, "further": goals.FURTHER}
    return [row for part, rows in listed.items() if part in parts for row in rows]


def _measure(run: Run, parts: Sequence[str], chosen: Sequence[str], elsewhere: str | None) -> None:
    rows = _rows(parts, elsewhere)
    for server in chosen:
        for store, kept in itertools.product(servers.STORES, (True, False)):
            mine = [row for row in rows if (row.store, row.kept) == (store, kept)]
            if mine:
                beside_bare(run, server, store, mine)
        for part, work in (("bulk", bulk), ("long", long), ("spread", spread)):
            if part in parts:
                work(run, server, elsewhere or "sqlite")


def _heading(run: Run, short: bool) -> Iterator[str]:
    versions = ", ".join(f"{name} {one}" for name, one in machine.versions().items())
    yield f"{versions}\n"
    yield f"{machine.shape(run.folder)}\n"
    yield f"{run.rounds} rounds of {run.seconds:g} s{' (short)' if short else ''}\n"
    yield "| operation | server | floor | aim | reached [lowest..highest] | by CPU | |"
    yield "|---|---|---|---|---|---|---|"


def main() -> int:
    """Print the table; return 1 if a floor is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--short", action="store_true", help="some minutes instead of an hour")
    add("--server", action="append", choices=servers.SERVERS, help="may be given again")
    add("--part", action="append", choices=PARTS, help="may be given again; all but with --short")
    add("--folder", type=Path, help="where the stores are made, on the disk to be measured")
    add("--s3", metavar="URL", help="measure with media on this S3 server")
    add("--vast", metavar="URL", help="measure with metadata in this VAST Database")
    add("--json", metavar="FILE", help="write all figures there, - for standard output")
    chosen = parser.parse_args()
    elsewhere = _elsewhere(chosen.s3, chosen.vast)
    parts = chosen.part or (("goals", "bulk", "spread") if chosen.short else PARTS)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        rounds, seconds, length = (5, 0.4, 100_000) if chosen.short else (15, 1.0, 1_000_000)
        run = Run(rounds, seconds, Path(name), length)
        try:
            print(*_heading(run, chosen.short), sep="\n", flush=True)
            _measure(run, parts, chosen.server or servers.SERVERS, elsewhere)
        finally:
            run.disk.close()
        sync = 1000 * run.disk.seconds()
        print(f"\nfdatasync of this disk: {sync:.2f} ms; what is above 0.2 ms is taken off once")
        print("for as many POSTs as there are callers, the least that it can have cost.")
        document = {
            "versions": machine.versions(),
            "machine": machine.shape(run.folder),
            "fdatasync_ms": sync,
            "figures": run.found,
        }
    if chosen.json:
        report.write(chosen.json, document)
    return int(any(_verdict(one) == "missed" for one in run.found))


if __name__ == "__main__":
    sys.exit(main())
