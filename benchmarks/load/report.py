"""What is shown of a run: a bar while it goes on, a table, JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .rounds import BUSY, Load, Ratio


class Bar:
    """A line on standard error that tells how far it has come, if that is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def __call__(self, what: str, done: int, wanted: int) -> None:
        """Show that so many of what is wanted are done; the line goes when all are."""
        if not self._shown:
            return
        filled = 30 * done // max(wanted, 1)
        end = "\r\x1b[K" if done >= wanted else ""
        text = f"\r\x1b[K{what[:40]:40} [{'#' * filled:30}] {done}/{wanted}{end}"
        print(text, end="", file=sys.stderr, flush=True)


HEADER = f"{'operation':30} {'req/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8} {'driver':>7}"


def lines(name: str, loads: Sequence[Load]) -> list[str]:
    """Return the lines of an operation: one for each server, and the ratio of two."""
    shown = []
    for at, load in enumerate(loads):
        one = load.figures()
        mark = "!" if one["driver_busy"] > BUSY else " "
        label = name if len(loads) == 1 else f"{name} {'AB'[at]}"
        shown.append(
            f"{label:30} {one['requests_per_second']:9.1f} {one['p50_ms']:8.2f}"
            f" {one['p99_ms']:8.2f} {one.get('cpu_us', '-'):>8} {one['driver_busy']:6.0%}{mark}"
        )
    if len(loads) == 2:
        shown.append(f"{'':30} {ratio_text(Ratio.of(*loads))}")
    return shown


def ratio_text(ratio: Ratio) -> str:
    """Return a ratio as text: the median, both ends, and that of CPU time."""
    text = f"A/B {ratio.median:.2f} [{ratio.lowest:.2f}..{ratio.highest:.2f}]"
    return text if ratio.cpu is None else f"{text}, by CPU {ratio.cpu:.2f}"


def write(path: str, document: Any) -> None:
    """Write a document as JSON to a file, or to standard output for `-`."""
    text = json.dumps(document, indent=1) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text)
