"""How long work tells of its progress, without knowing who listens."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes items on, and shows how many of `total` have passed."""

    def __call__(self, label: str, items: Iterable[T], total: int) -> Iterator[T]:
        """Yield the items."""


def untracked(label: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Show nothing."""
    return iter(items)
