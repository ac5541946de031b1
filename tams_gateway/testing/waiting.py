"""Waiting in tests for what happens in the background."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_STEP = 0.02


def eventually(check: Callable[[], T], within: float = 10.0) -> T:
    """Return the first true value of `check`, or its last one after `within` seconds.

    The caller asserts it, so that a failure shows what was found.
    """
    pause = threading.Event()
    deadline = time.monotonic() + within
    while not (value := check()) and time.monotonic() < deadline:
        pause.wait(_STEP)
    return value
