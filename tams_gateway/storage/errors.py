"""The only errors that a store raises on purpose; a plugin wraps foreign ones at its border."""

from collections.abc import Mapping

from tams_gateway.storage.records import Segment


class StoreError(Exception):
    """The store cannot do this now: it is away, locked, read-only or broken.

    The message says which store and what to do. Clients get 503.
    """


class ConflictError(StoreError):
    """Another writer was faster: a version, a dropped segment is not what was expected.

    Nothing was changed. The core reads again and retries.
    """


class OverlapError(StoreError):
    """Segments to be added overlap stored ones; nothing was changed.

    `overlaps` has, for the index of each such segment in its `AddSegments`, the stored segment
    that it meets (the first of them in time).
    """

    def __init__(self, overlaps: Mapping[int, Segment]) -> None:
        super().__init__(f"{len(overlaps)} segments overlap stored ones")
        self.overlaps = overlaps


class MissingError(StoreError):
    """An object store has no bytes at the place that was asked for."""


class FullError(StoreError):
    """The store has no room left. Clients get 507 for an upload, 503 for anything else."""
