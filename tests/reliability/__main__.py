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

from tests.faults.kills import Kills


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
def kills(kills: int, seed: int | None) -> None:
    """Kill all processes at random moments under load, and look for what was acknowledged."""
    seed = random.randrange(2**32) if seed is None else seed
    began = time.monotonic()
    click.echo(f"seed {seed}", err=True)
    with tempfile.TemporaryDirectory() as folder, progress("kills", kills) as done:
        run = Kills(Path(folder), seed)
        run.run(kills, done)
        run.check_rest()
    acknowledged = sum(len(writer.told) for writer in run.writers)
    seconds = round(time.monotonic() - began)
    tell(kills=kills, seed=seed, segments=acknowledged, seconds=seconds)


if __name__ == "__main__":
    main()
