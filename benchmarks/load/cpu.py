"""The CPU time of a server, from /proc: all its processes, those that have ended as well."""

import os
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


def spent(root: int) -> float:
    """Return the seconds of CPU that a process and all below it have used.

    A child that has ended counts as soon as its parent knows of it.
    """
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:  # it has ended since the listing
            continue
        fields = text.rpartition(") ")[2].split()
        number = int(stat.parent.name)
        parents[number] = int(fields[1])
        used[number] = sum(map(int, fields[11:15])) * _TICK
    if root not in used:
        raise ProcessLookupError(f"there is no process {root}")
    family = {root}
    grown = True
    while grown:
        more = {one for one, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    return sum(used[one] for one in family)
