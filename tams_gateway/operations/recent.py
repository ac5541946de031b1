"""What was made of stored bytes a moment ago, kept for as long as it stays good."""

from collections.abc import Hashable
from typing import Final

PERIOD_NS: Final = 30 * 10**9
"""How long it is kept: half of the time by which signed URLs outlast what `/service` promises."""

_MOST: Final = 65_536
"""How many values are kept; with the bytes that they were made of they are about 1 KiB each."""

_MOST_WAYS: Final = 64
"""In how many ways: clients choose the filters and the name of the host."""


class Recent:
    """The endings of segments' documents (their URLs), by what they were made of.

    Readers of one live edge ask for the same segments again and again, and signing is most of
    what such a page costs. Nothing here can be out of date: the store is asked each time, and
    what it answers is the key.
    """

    def __init__(self) -> None:
        self._period = 0
        self._ways: dict[Hashable, dict[bytes, bytes]] = {}

    def made(self, way: Hashable, now_ns: int) -> dict[bytes, bytes]:
        """Return what was made in one way (for these parameters, under this base URL).

        The caller adds to it. `now_ns` is the time, in nanoseconds since 1970.
        """
        period = now_ns // PERIOD_NS
        # A list, since other threads add ways meanwhile.
        known = list(self._ways.values())
        if period != self._period or len(known) > _MOST_WAYS or sum(map(len, known)) > _MOST:
            # A new dict, since other threads may still add to the old one.
            self._period, self._ways = period, {}
        return self._ways.setdefault(way, {})
