"""What a store may be able to do beyond its contract; checked once, at start."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.storage.content import Content, Entry
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Place, Stat
from tams_gateway.storage.query import SegmentQuery
from tams_gateway.storage.records import Segment


@runtime_checkable
class SupportsMediaRoutes(Protocol):
    """An object store whose bytes the gateway itself serves below `/media/NAME/`.

    Keeps versions: `write` returns one, and each stays readable until it is deleted.
    """

    media_urls: MediaUrls
    """Makes and verifies the URLs that the store hands out."""


@runtime_checkable
class SupportsCopy(Protocol):
    """An object store that copies within its own server, without a stream through ours."""

    def copy(self, key: str, content_type: str, source: object, place: Place) -> Stat | None:
        """Copy from a place in the object store `source`; None if they share no server."""


@runtime_checkable
class KeepsVersions(Protocol):
    """An object store that may keep every upload to a key, while clients upload past the gateway.

    The version that `stat` tells at registration is recorded then, and served whatever is uploaded
    later (R-STO-13).
    """

    def keeps_versions(self) -> bool:
        """Whether it does now. A round trip at most once in a while; raises `StoreError`."""


@runtime_checkable
class SupportsExamination(Protocol):
    """A store that can try more for `tams-gateway check` than one round trip tells."""

    def examine(self) -> Sequence[Health]:
        """Try all that is needed of it and say what was found; does not raise.

        What it writes for that is gone afterwards.
        """


class Joined(msgspec.Struct, frozen=True):
    """A page of segments as a JSON list of their bodies, in order.

    There are `count` of them, at least one, and `more` behind the last.
    """

    bodies: bytes
    count: int
    first: Segment
    last: Segment
    more: bool


@runtime_checkable
class SupportsJoin(Protocol):
    """A metadata store that joins bodies at less cost than it returns segments one by one."""

    def joined(self, query: SegmentQuery) -> Joined | None:
        """Return what `segments` would, joined; None if that is empty or has init objects."""


class Watch(Protocol):
    """Tells whether what is watched may have changed since."""

    def moved(self) -> bool:
        """Whether a change of it may be there to be seen; once it has moved, for good.

        Takes about a microsecond and asks no server. It may move without a cause.
        """


@runtime_checkable
class SupportsWatch(Protocol):
    """A metadata store that tells at once when what was read of it may not be so any more.

    `tams_gateway.storage.marks` does the most of it for stores on one machine.
    """

    def watch(self, ids: Sequence[str]) -> Watch:
        """Watch the records of these ids, of whatever kinds, and the segments of flows among them.

        What is read by id or by flow after this, and before the watch moves, is what every reader
        would find as long as it does not move: it moves before any reader in any process can see a
        change, and before `apply` returns. Raises `StoreError`.
        """


@runtime_checkable
class SupportsBackup(Protocol):
    """A metadata store that gives and takes all that it holds, whatever the kinds.

    What one store gives, any other takes: entries hold no cursor and no layout of a store.
    """

    def snapshot(self) -> Content:
        """Return all that is there at one moment, not before the first entry is asked for.

        That is every record of every kind, also of those that no caller has named since the store
        was opened (a `Kind` then declares at least the fields that are set, with their types);
        segments of lives that no record has any more, too; and the events that are not forgotten.
        An entry holds at most a few thousand items, and memory does not grow with their number.
        Writers go on meanwhile. Raises `StoreError`.
        """

    def replace(self, entries: Iterable[Entry]) -> None:
        """Hold exactly these entries, instead of all that was there; durable on return.

        One transaction: others see the old content or the new, and an exception, also one out of
        `entries`, leaves the old. Readers go on meanwhile, and `entries` may itself read this
        store, which answers with the old content; writers wait, or what they write is gone.

        Records get new versions, such as no earlier state of their ids had, and keep `touched`.
        Events come anew, behind every cursor that this store ever gave.
        """
