"""The versions of records, of which none ever comes again."""

import sqlite3
from typing import Final

_AT_A_TIME: Final = 1000


class Versions:
    """Gives out versions from a stock, so that few commits write the counter.

    The stock is committed before any of it is used: so what is taken back, or dies, leaves a gap.
    """

    def __init__(self) -> None:
        self._last = 0
        self._end = 0

    def stock(self, connection: sqlite3.Connection, number: int) -> None:
        """Have at least so many, at most 1000; the caller holds the turn, in no transaction."""
        if self._end - self._last < number:
            text = "UPDATE counter SET version = version + ? RETURNING version"
            ((end,),) = connection.execute(text, (_AT_A_TIME,)).fetchall()
            self._last, self._end = end - _AT_A_TIME, end

    def take(self) -> int:
        """Return one of the stock that no record ever had."""
        self._last += 1
        return self._last
