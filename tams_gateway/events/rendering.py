"""Events as their receivers get them: with the URLs that they asked for, if they may see them."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tams_gateway.auth.principal import Principal
from tams_gateway.events.event import Event


class Shape(msgspec.Struct, frozen=True):
    """How the segments of `flows/segments_added` are shown (R-WHK-20).

    The members mean what the query parameters of the same names do; `()` as `accept_get_urls` is
    no URLs at all, None all of them. `base` is the URL under which the receiver reaches the API.
    """

    base: str = ""
    accept_get_urls: tuple[str, ...] | None = None
    accept_storage_ids: tuple[str, ...] = ()
    presigned: bool | None = None
    verbose_storage: bool = False
    include_object_timerange: bool = False


Render: TypeAlias = Callable[[Event, Shape, Principal], bytes | None]
"""Return the JSON that a receiver gets, `{event_timestamp, event_type, event}`; None where the
principal may not read what the event is about. Raises `StoreError`."""
