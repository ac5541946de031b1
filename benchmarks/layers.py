"""Tells where the time of a request goes, layer by layer, for one caller.

    python -m benchmarks.layers [--server granian] [--store sqlite] [--operation NAME]

A clock stands at each border between layers (`benchmarks.timed`); it adds about half a microsecond
to a layer for each call out of it. What the server itself takes is not in it: the CPU time of the
bare app, less Falcon's share of it, is that.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from . import servers
from .load.operations import LENGTHY, OPERATIONS
from .load.rounds import Load
from .timed import FILE, LAYERS

_DEFAULT = (
    "get-flow",
    "latest",
    "get-100",
    "get-1000",
    "post-segment",
    "post-1000",
    "allocate-100",
)


def main() -> None:
    """Print a table: a line for each layer, a column for each operation, in microseconds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("--server", choices=("gunicorn", "granian"), default="granian")
    add("--store", choices=servers.STORES, default="sqlite")
    add("--operation", action="append", choices=OPERATIONS, metavar="NAME")
    add("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    names = chosen.operation or _DEFAULT
    columns: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spent = folder / "spent.json"
        variables = {FILE: str(spent)}
        with servers.changed("timed", chosen.server, chosen.store, folder, variables) as site:
            for operation in names:
                label = f"{operation}/1000" if operation in LENGTHY else operation
                load = Load(OPERATIONS[operation](site, label, 1000), connections=1)
                load.work(0.2, counts=False)
                site.call("GET", "/")
                load.work(chosen.seconds)
                site.call("GET", "/")
                columns.append(_medians(json.loads(spent.read_text()), load))
    print(f"| us | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for layer in (*LAYERS, "in all"):
        print(f"| {layer} | {' | '.join(f'{one[layer]:.1f}' for one in columns)} |")


def _medians(requests: list[dict[str, int]], load: Load) -> dict[str, float]:
    """Return for each layer the median over the requests of the load, in microseconds."""
    # What prepared the load came first.
    mine = requests[-len(load.times) :]
    found = {layer: statistics.median(one.get(layer, 0) for one in mine) / 1000 for layer in LAYERS}
    return {**found, "in all": statistics.median(sum(one.values()) for one in mine) / 1000}


if __name__ == "__main__":
    main()
