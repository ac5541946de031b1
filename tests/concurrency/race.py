"""Moves that start at the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def race(moves: Sequence[Callable[[], T]]) -> list[T]:
    """Make each move in a thread of its own, all at once; return their results in order."""
    start = threading.Barrier(len(moves))

    def run(move: Callable[[], T]) -> T:
        start.wait()
        return move()

    with ThreadPoolExecutor(len(moves)) as pool:
        return list(pool.map(run, moves))
