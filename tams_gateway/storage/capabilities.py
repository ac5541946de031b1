"""What a store may be able to do beyond its contract; checked once, at start."""

from typing import Protocol, runtime_checkable

from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Place, Stat


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
