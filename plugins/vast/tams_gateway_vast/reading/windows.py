"""Windows of time in which a timeline is looked through until enough segments are found.

A window has too few segments, and the next one follows it; or too many, of which any came, and it
has to be made narrower. Segments do not overlap, so those that overlap a window `[start, end)` are
those with `end_ns > start` and `start_ns < end`, and their order by end is their order by start.
"""

from collections.abc import Sequence
from typing import Final

from tams_gateway.domain.timerange import Span
from tams_gateway.storage.records import Segment

_BEHIND_A_GAP: Final = 1000
"""So many segments are taken at least from a window that follows an empty one: how many would
suffice is not known, and to read some more costs less than to ask again."""


class Windows:
    """Looks for the first `count` segments of a span, from its end if `reverse`.

    A window of the `usual` width in nanoseconds is expected to hold so many. `window` is the one
    to be looked at next, while there is `left` anything to look at; at most `most` of its segments
    are to be read, None if it can't hold more than one.
    """

    def __init__(self, span: Span, count: int, usual: int, *, reverse: bool) -> None:
        self._span = span
        self._count = count
        self._usual = usual
        self._reverse = reverse
        self._width = usual
        self._empty = False
        self._crowd: int | None = None
        """Before this time are more than were read, where a window has shown so."""

    @property
    def left(self) -> bool:
        """Whether there is a part of the span that nobody has looked at."""
        return self._span.start < self._span.end

    @property
    def window(self) -> Span:
        """The next window."""
        span, width = self._span, self._width
        if self._crowd is not None:
            width = min(width, max(self._away(self._crowd) // 2, 1))
        if self._reverse:
            return Span(max(span.start, span.end - width), span.end)
        return Span(span.start, min(span.end, span.start + width))

    @property
    def most(self) -> int | None:
        """How many segments show that the window is too wide."""
        window = self.window
        if window.end - window.start == 1:
            return None
        most = self._count + self._count // 2 + 3
        return max(most, _BEHIND_A_GAP) if self._empty else most

    def learn(self, found: Sequence[Segment]) -> list[Segment]:
        """Take the segments that were read of the window, at most `most`; return them in order.

        Returns nothing where they may not be all of it.
        """
        window = self.window
        if len(found) == self.most:
            self._crowd = window.start if self._reverse else window.end
            self._width = self._guess(found)
            return []
        ordered = sorted(found, key=lambda one: one.end_ns, reverse=self._reverse)
        self._go_on(window, ordered)
        self._empty = not found
        if found:
            self._crowd = None
        if 2 * len(found) < self._count:
            self._width = max(self._width * (2 if found else 4), self._usual)
        return ordered

    def _away(self, time: int) -> int:
        """Return how far a time is from where the next window begins."""
        return self._span.end - time if self._reverse else time - self._span.start

    def _guess(self, found: Sequence[Segment]) -> int:
        """Return the width that these, of too many, tell: by their lengths, and behind a gap."""
        length = sum(one.end_ns - one.start_ns for one in found)
        width = 9 * self._count * length // (8 * len(found)) + 1
        if not self._empty:
            return width
        ends = [one.end_ns if self._reverse else one.start_ns for one in found]
        return max(min(map(self._away, ends)), 0) + width

    def _go_on(self, window: Span, ordered: Sequence[Segment]) -> None:
        """Leave what is behind the window, and behind the last segment found in it."""
        if self._reverse:
            end = min([window.start, *(one.start_ns for one in ordered[-1:])])
            self._span = Span(self._span.start, end)
        else:
            start = max([window.end, *(one.end_ns for one in ordered[-1:])])
            self._span = Span(start, self._span.end)


def usual(length: int, segments: int, count: int) -> int:
    """Return how wide a window is to be for `count` segments and half as many more.

    `segments` is how many there are within `length` nanoseconds, at least one.
    """
    return max(3 * (count - 1) * length // 2, length) // segments + 1
