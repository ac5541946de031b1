"""What was wrong in the older server's tables, and what became of it: a line of a file for each."""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, TypeAlias

import msgspec

Done: TypeAlias = Literal["taken", "mended", "left out"]
"""What became of a row: it is here as it was, here but for what the line tells, or not here."""

SECRETS: Final = frozenset(
    {"api_key_value", "password_hash", "password_salt", "token_hash", "get_urls"}
)
"""Columns that no report repeats; URLs may be signed."""


class Finding(msgspec.Struct, frozen=True):
    """A line of the report, as JSON."""

    problem: str
    done: Done
    table: str
    detail: str
    row: Mapping[str, object]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime.date) else repr(value)


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode


class Report:
    """Writes findings to a new file, and counts them."""

    def __init__(self, path: Path) -> None:
        self.counts: Counter[tuple[str, Done]] = Counter()
        self.taken: Counter[str] = Counter()
        """How many of each table are here now."""
        self._file = path.open("wb")

    def __enter__(self) -> "Report":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def tell(
        self, problem: str, done: Done, table: str, detail: str, row: Mapping[str, object]
    ) -> None:
        """Write one finding, with its row but for secrets."""
        shown = {name: value for name, value in row.items() if name not in SECRETS}
        self._file.write(_encode(Finding(problem, done, table, detail, shown)) + b"\n")
        self.counts[problem, done] += 1

    def summary(self) -> Sequence[str]:
        """Return lines for people: what is here, and how often which problem was met."""
        lines = [f"{number} {table} taken" for table, number in sorted(self.taken.items())]
        problems = sorted(self.counts.items())
        return lines + [f"{problem}: {number} {done}" for (problem, done), number in problems]
