"""The long tests of docs/reliability.md as commands: `python -m tests.reliability --help`.

Each prints what it measured as JSON, and fails where a promise was broken.
"""

import json
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from benchmarks.load.site import Site
from tests.faults.kills import Kills
from tests.reliability.fuzz import Fuzz, holds
from tests.reliability.garbage import Garbage
from tests.reliability.live_edge import LiveEdge
from tests.reliability.mass_deletion import mass_deletion as measure_mass_deletion
from tests.reliability.mass_deletion import ratio
from tests.servers.process import serving
from tests.stores import Servers, stores


@click.group()
def main() -> None:
    """Run a long test of reliability."""


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far a test is; yields what is told how much is done."""
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield lambda done: bar.update(done - bar.pos)


def tell(**figures: object) -> None:
    """Print the figures, and what they were measured with."""
    machine = {
        "tams-gateway": version("tams-gateway"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()}",
        "processors": os.cpu_count(),
    }
    click.echo(json.dumps({**figures, "with": machine}))


@main.command()
@click.option("--kills", default=1000, show_default=True)
@click.option("--seed", type=int, help="Default: a random one.")
@click.option(
    "--stores", "name", help="As in sqlite-s3, vast or vast-s3. Default: as without a config."
)
def kills(kills: int, seed: int | None, name: str | None) -> None:
    """Kill all processes at random moments under load, and look for what was acknowledged."""
    seed = random.randrange(2**32) if seed is None else seed
    began = time.monotonic()
    click.echo(f"seed {seed}", err=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as beside,
        Servers(Path(beside)) as servers,
        progress("kills", kills) as done,
    ):
        chosen = None if name is None else stores(name, Path(folder), servers)
        run = Kills(Path(folder), seed, chosen)
        run.run(kills, done)
        run.check_rest()
    acknowledged = sum(len(writer.told) for writer in run.writers)
    seconds = round(time.monotonic() - began)
    tell(kills=kills, seed=seed, stores=name, segments=acknowledged, seconds=seconds)


@main.command()
@click.option("--minutes", default=10, show_default=True)
@click.option("--size", default=200_000, show_default=True, help="Bytes of a segment.")
@click.option("--rate", default=1.0, show_default=True, help="Segments of a flow in a second.")
def live_edge(minutes: int, size: int, rate: float) -> None:
    """Bring in eight live flows with a rolling window, while four readers follow them."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), "--workers", "2") as server,
        progress("minutes", minutes) as done,
    ):
        figures = LiveEdge(server, size, rate).run(minutes, done=done)
    assert figures.read == figures.segments
    tell(
        segments=figures.segments,
        memory_growth=round(figures.growth("memory"), 3),
        disk_growth=round(figures.growth("disk"), 3),
        last_minute_to_first=round(figures.dearer(), 2),
        minutes=[msgspec.to_builtins(one) for one in figures.usage],
    )


@main.command()
@click.option("--segments", default=1_000_000, show_default=True)
@click.option("--rounds", default=10, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of posts, idle and deleting.")
@click.option("--server", default="uvicorn", show_default=True)
def mass_deletion(segments: int, rounds: int, seconds: float, server: str) -> None:
    """Delete segments in the background, a part in each round, while others are posted."""
    options = ("--workers", "2", "--server", server)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), *options) as running:
        url, pid = f"http://127.0.0.1:{running.port}", running.process.pid
        with progress("segments made", segments) as made:
            Site(url, progress=lambda _what, there, _wanted: made(there)).flow(segments)
        with progress("rounds of deletion", rounds) as done:
            found = measure_mass_deletion(Site(url, pid=pid), segments, rounds, seconds, done)
    tell(
        ratio=round(ratio(found), 2),
        segments=segments,
        seconds=round(time.monotonic() - began),
        rounds=[msgspec.to_builtins(one) for one in found],
    )


@main.command()
@click.option("--requests", default=100_000, show_default=True)
@click.option("--of-document", default=0.1, show_default=True, help="Share of the document's.")
@click.option("--server", default="uvicorn", show_default=True)
def fuzz(requests: int, of_document: float, server: str) -> None:
    """Send fuzzed requests: mutated traffic, and what is drawn from the official document."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), "--server", server) as running,
        progress("requests", requests) as done,
    ):
        run = Fuzz(running)
        held = run.run(requests, of_document, done)
    warm, last = held[len(held) // 10], held[-1]
    tell(
        requests=run.sent,
        refused=run.refused,
        warm=msgspec.to_builtins(warm),
        last=msgspec.to_builtins(last),
    )


@main.command()
@click.option("--requests", default=5000, show_default=True)
@click.option("--server", default="uvicorn", show_default=True)
def garbage(requests: int, server: str) -> None:
    """Send what is no HTTP, or only half of it."""
    seed = random.randrange(2**32)
    click.echo(f"seed {seed}", err=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), "--server", server) as running,
        progress("requests", requests) as done,
    ):
        run = Garbage(running, seed)
        before = holds(running)
        run.run(requests, done)
        after = holds(running)
    before_after = [msgspec.to_builtins(one) for one in (before, after)]
    tell(server=server, requests=requests, before_after=before_after)


if __name__ == "__main__":
    main()
