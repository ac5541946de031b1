"""How much a job takes at a time."""

import time
from collections.abc import Callable
from typing import Final

_LONG: Final = 0.04
"""In seconds: longer than it takes a store on this machine, also beside requests."""

_MOST: Final = 4


class Portions:
    """So many portions at once: one, since requests wait meanwhile, and more if that takes long.

    What takes long waits for a store far away, which needs hardly more time for four of them.
    `elapsed` counts seconds from any moment on.
    """

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._number = 1
        self._began = 0.0

    def __enter__(self) -> int:
        """Begin a piece of work; return how many portions it is to take."""
        self._began = self._elapsed()
        return self._number

    def __exit__(self, *_: object) -> None:
        """End it, and decide about the next one."""
        took = self._elapsed() - self._began
        self._number = min(2 * self._number, _MOST) if took > _LONG else 1
