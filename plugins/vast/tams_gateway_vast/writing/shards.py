"""Shards: each record, flow and event belongs to one, and those of one shard are written in turn.

The row of a shard counts its commits and its events, and remembers the tokens of the last
commits: so that whoever got no answer to a commit can tell whether it was made.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.tables.layout import SHARDS
from tams_gateway_vast.tables.rows import Row, with_ids
from tams_gateway_vast.transport.predicates import In

if TYPE_CHECKING:
    from tams_gateway_vast.transport.cluster import Transaction

_REMEMBERED: Final = 64
"""How many commits a shard remembers."""

_TOKEN: Final = 8


class Shard(msgspec.Struct, frozen=True):
    """The row of a shard, as a transaction reads it."""

    number: int
    row_id: int
    commits: int
    events: int
    history: bytes

    def has(self, token: int, commits: int) -> bool | None:
        """Whether the commit that made it so many has this token; None if that is forgotten."""
        ago = self.commits - commits
        if ago < 0:
            return False
        if ago * _TOKEN >= len(self.history):
            return None
        end = len(self.history) - ago * _TOKEN
        return self.history[end - _TOKEN : end] == _packed(token)


def shard_of(text: str, count: int) -> int:
    """Return the shard, of so many, of the record or flow with this id."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % count


def read(transaction: "Transaction", numbers: Sequence[int] | None = None) -> dict[int, Shard]:
    """Return the rows of these shards, or of all. Raises `StoreError` if one is missing."""
    columns = ("$row_id", "shard", "commits", "events", "history")
    where = [] if numbers is None else [In("shard", numbers)]
    found = transaction.select(SHARDS, columns, where)
    values = [found.column(name).to_pylist() for name in columns]
    shards = {
        number: Shard(number, int(row_id), commits, events, history)
        for row_id, number, commits, events, history in zip(*values, strict=True)
    }
    if numbers is not None and len(shards) != len(numbers):
        raise StoreError("table shards: a row is missing; restore the schema from a snapshot")
    return shards


def write(
    transaction: "Transaction", shards: Mapping[int, Shard], token: int, events: Mapping[int, int]
) -> None:
    """Count one commit with this token, and new events by shard."""
    changed: list[tuple[int, Row]] = [
        (
            one.row_id,
            {
                "commits": one.commits + 1,
                "events": one.events + events.get(one.number, 0),
                "history": history_with(one.history, token),
            },
        )
        for one in shards.values()
    ]
    transaction.update(SHARDS, with_ids(SHARDS, changed))


def history_with(history: bytes, token: int) -> bytes:
    """Return a history with one more token; the oldest ones are forgotten."""
    return (history + _packed(token))[-_REMEMBERED * _TOKEN :]


def _packed(token: int) -> bytes:
    return struct.pack("<q", token)
