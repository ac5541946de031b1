"""What is measured for the table in docs/performance.md: operations, and what they are to reach."""

from collections.abc import Mapping
from typing import Final, NamedTuple

GUNICORN: Final = "gunicorn"
GRANIAN: Final = "granian"
UVICORN: Final = "uvicorn"


class Goal(NamedTuple):
    """The least that is accepted, and what is aimed at: shares of the bare handler's rate."""

    floor: float
    aim: float


class Row(NamedTuple):
    """An operation on a store, beside the bare handler; `syncs` if it waits for the disk.

    Without `kept` the gateway keeps no answers, as if nobody had asked for the same before.
    """

    title: str
    operation: str
    store: str
    goals: Mapping[str, Goal] = {}
    connections: int = 8
    syncs: bool = False
    kept: bool = True


_all_1000 = {GUNICORN: Goal(0.3, 0.45), GRANIAN: Goal(0.3, 0.35), UVICORN: Goal(0.3, 0.35)}

ROWS: Final = (
    Row(
        "GET flow, memory",
        "get-flow",
        "memory",
        {GUNICORN: Goal(0.75, 0.9), GRANIAN: Goal(0.6, 0.8), UVICORN: Goal(0.7, 0.9)},
    ),
    Row(
        "GET flow, SQLite",
        "get-flow",
        "sqlite",
        {GUNICORN: Goal(0.6, 0.85), GRANIAN: Goal(0.45, 0.6)},
    ),
    Row("GET 1000 segments, own media URLs, memory", "get-1000", "memory", _all_1000),
    Row(
        "GET 1000 segments without URLs, SQLite",
        "get-1000-without-urls",
        "sqlite",
        dict.fromkeys((GUNICORN, GRANIAN, UVICORN), Goal(0.4, 0.55)),
    ),
    Row(
        "GET 100 segments, own media URLs, SQLite",
        "get-100",
        "sqlite",
        {GUNICORN: Goal(0.3, 0.5), GRANIAN: Goal(0.2, 0.3), UVICORN: Goal(0.2, 0.3)},
    ),
    Row(
        "POST one segment, SQLite, 8 callers",
        "post-segment",
        "sqlite",
        {GUNICORN: Goal(0.3, 0.45), GRANIAN: Goal(0.3, 0.4), UVICORN: Goal(0.2, 0.3)},
        syncs=True,
    ),
    Row(
        "POST one segment, SQLite, one caller",
        "post-segment",
        "sqlite",
        {GUNICORN: Goal(0.2, 0.25), GRANIAN: Goal(0.2, 0.25), UVICORN: Goal(0.15, 0.25)},
        connections=1,
        syncs=True,
    ),
)
"""The table of goals: each beside the bare handler on the same server."""

FRESH: Final = tuple(
    row._replace(title=f"{row.title}, made anew", goals={}, kept=False)
    for row in ROWS
    if row.operation.startswith("get-")
)
"""The reads among them, of what nobody has read a moment ago."""

FURTHER: Final = (
    Row("PUT flow, SQLite", "put-flow", "sqlite", syncs=True),
    Row("list 100 flows by tag, SQLite", "list-flows", "sqlite"),
    Row("latest segment, SQLite", "latest", "sqlite"),
    Row("GET 1000 segments, own media URLs, SQLite", "get-1000", "sqlite"),
    Row("POST 1000 segments, SQLite", "post-1000", "sqlite", syncs=True, connections=1),
    Row("allocate 100 objects, SQLite", "allocate-100", "sqlite", syncs=True),
    Row("PUT 64 KiB of media, files", "put-media-small", "sqlite"),
    Row("PUT 4 MiB of media, files", "put-media", "sqlite"),
    Row("GET 64 KiB of media, files", "get-media-small", "sqlite"),
    Row("GET 4 MiB of media, files", "get-media", "sqlite"),
)
"""What has no goal, and is told beside."""


def elsewhere(store: str, *, syncs: bool) -> tuple[Row, ...]:
    """Return what is measured on a store that other servers keep; nobody has set goals for it.

    Media go past the gateway there. `syncs` if metadata are on the disk of this machine.
    """
    writes = (
        ("POST one segment, 8 callers", "post-segment", 8),
        ("POST one segment, one caller", "post-segment", 1),
        ("POST 1000 segments", "post-1000", 1),
        ("PUT flow", "put-flow", 8),
        ("allocate 100 objects", "allocate-100", 8),
    )
    reads = (
        ("GET flow", "get-flow"),
        ("list 100 flows by tag", "list-flows"),
        ("latest segment", "latest"),
        ("GET 100 segments with URLs", "get-100"),
        ("GET 1000 segments with URLs", "get-1000"),
        ("GET 1000 segments without URLs", "get-1000-without-urls"),
    )
    return (
        *(Row(f"{title}, {store}", operation, store) for title, operation in reads),
        *(
            Row(f"{title}, {store}", operation, store, {}, connections, syncs)
            for title, operation, connections in writes
        ),
    )


BULK: Final = Goal(10, 15)
"""How many segments a second POSTs of 1000 by one caller add, for each by single POSTs of 8."""

LONG: Final = 1.2
"""How much more a read may cost in a flow of a million segments than in one of a thousand."""

SPREAD: Final = 6.0
"""How much longer than the median the slowest hundredth of POSTs may take, of 2 x 16 callers."""

SYNC: Final = 0.0002
"""How long the disk's fdatasync counts as taking at most, in seconds."""
