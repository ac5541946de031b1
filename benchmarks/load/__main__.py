"""Tells how fast a TAMS server answers or, of two, which is faster.

    python -m benchmarks.load http://localhost:4010 --pid 4711
    python -m benchmarks.load http://localhost:4010 --against http://localhost:4020

What it reads it makes once by the API (flows tagged `tams-load`), and finds again at the next run;
what it writes goes to a flow of its own. Any answer that is not as it must be ends the run.
"""

import argparse
import sys
from dataclasses import asdict
from typing import Any

from . import report
from .operations import LENGTHY, OPERATIONS
from .rounds import BUSY, Load, Ratio, take_turns
from .site import NOBODY, Credentials, Site
from .wire import LoadError


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=(__doc__ or "").partition("\n")[0]
    )
    add = parser.add_argument
    add("url", metavar="URL", help="the base URL of the server")
    add("--against", metavar="URL", help="a second server, which takes turns with the first")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--basic", metavar="USER:PASSWORD", type=Credentials.basic, dest="who")
    who.add_argument("--bearer", metavar="TOKEN", type=Credentials.bearer, dest="who")
    who.add_argument(
        "--access-token",
        metavar="TOKEN",
        type=Credentials.in_query,
        dest="who",
        help="sent as ?access_token=",
    )
    add("--pid", type=int, help="the server's first process, to count its CPU time")
    add("--against-pid", type=int, help="that of the second server")
    add(
        "--operation",
        action="append",
        choices=OPERATIONS,
        metavar="NAME",
        help=f"what to measure, all without it; may be given again: {', '.join(OPERATIONS)}",
    )
    add(
        "--length",
        action="append",
        type=int,
        metavar="SEGMENTS",
        help="of the flow that is read, 1000 without it; may be given again",
    )
    add("--connections", type=int, default=8, help="callers at once; default 8")
    add("--processes", type=int, default=1, help="of the driver; default 1")
    add("--seconds", type=float, default=1.0, help="of each server in a round; default 1")
    add("--rounds", type=int, default=5, help="default 5")
    add("--json", metavar="FILE", help="write the figures there, - for standard output")
    return parser


def main() -> int:
    """Measure what is asked for; return the exit status."""
    chosen = _arguments().parse_args()
    bar = report.Bar()
    who = chosen.who or NOBODY
    sites = [Site(chosen.url, who, chosen.pid, bar)]
    if chosen.against:
        sites.append(Site(chosen.against, who, chosen.against_pid, bar))
    figures: list[dict[str, Any]] = []
    tables = sys.stderr if chosen.json == "-" else sys.stdout
    print(report.HEADER, file=tables)
    try:
        for name, length in _wanted(chosen):
            label = f"{name}/{length}" if name in LENGTHY else name
            loads = [
                Load(OPERATIONS[name](site, label, length), chosen.connections, chosen.processes)
                for site in sites
            ]
            take_turns(
                loads,
                chosen.rounds,
                chosen.seconds,
                lambda done, label=label: bar(label, done, chosen.rounds),  # type: ignore[misc]
            )
            print(*report.lines(label, loads), sep="\n", file=tables, flush=True)
            figures.append({"operation": label, "servers": [one.figures() for one in loads]})
            if len(loads) == 2:
                figures[-1]["ratio"] = asdict(Ratio.of(*loads))
    except LoadError as error:
        print(f"{label}: {error}", file=sys.stderr)
        return 1
    finally:
        if chosen.json:
            report.write(chosen.json, figures)
    if any(one["driver_busy"] > BUSY for figure in figures for one in figure["servers"]):
        print("! the driver was busy itself: take more --processes", file=tables)
    return 0


def _wanted(chosen: argparse.Namespace) -> list[tuple[str, int]]:
    """Return each operation with the length of the flow that it reads."""
    lengths = chosen.length or [1000]
    return [
        (name, length)
        for name in chosen.operation or OPERATIONS
        for length in (lengths if name in LENGTHY else lengths[:1])
    ]


if __name__ == "__main__":
    sys.exit(main())
