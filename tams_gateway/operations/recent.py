"""What was made of stored bytes a moment ago, kept for as long as it stays good."""

from collections.abc import Hashable
from typing import Final

PERIOD_NS: Final = 30 * 10**9
"""How long it is kept: half of the time by which signed URLs outlast what `/service` promises."""

_MOST: Final = 65_536
"""How many values are kept; with the bytes that they were made of they are about 1 KiB each."""


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
        if period != self._period or sum(len(made) + 1 for made in self._ways.values()) > _MOST:
            # A new dict, since other threads may still add to the old one.
            self._period, self._ways = period, {}
        return self._ways.setdefault(way, {})
