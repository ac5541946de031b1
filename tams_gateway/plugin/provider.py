"""What a hook returns: how to open one store, provider or sink from its config section."""

import hmac
from collections.abc import Callable
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import msgspec
import structlog

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.auth.principal import Principal
from tams_gateway.events.event import Event
from tams_gateway.events.rendering import Render, Shape
from tams_gateway.storage.key_ring import KeyRing
from tams_gateway.storage.metadata import MetadataStore

T = TypeVar("T")

API: Final = 1
"""The version of the contracts that this gateway has."""


Blocks: TypeAlias = bool | Literal["writes"]
"""Whether calls may have to wait: all, those that write or move bytes, or none."""


class Secret:
    """A setting that is never logged; the config gives it as text, `{env=}` or `{file=}`."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self.value.encode(), other.value.encode()
        )

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "Secret(...)"


def render_nothing(_event: Event, _shape: Shape, _principal: Principal) -> None:
    """Show nobody anything: what a context has that is no event sink's."""


class Context(msgspec.Struct, frozen=True):
    """What the gateway gives to a plugin that it opens; never the gateway itself."""

    name: str
    """The name of the config section: `main` for `[objects.main]`, else the plugin's name."""
    log: structlog.typing.FilteringBoundLogger
    now: Callable[[], float]
    """The wall clock, in seconds since 1970."""
    url_lifetime: int
    """How long presigned URLs must hold at least, in seconds (R-URL-10)."""
    keys: Callable[[str], KeyRing]
    """Return a ring of secret keys by name, shared by all processes; its first key is made when it
    is first needed, and `tams-gateway keys` rotates it."""
    metadata: MetadataStore | None = None
    """The metadata store, for all but metadata stores themselves."""
    note: Callable[[AuthEntry], None] = lambda _: None
    """Add an entry to the log of logins. Raises `StoreError`."""
    render: Render = render_nothing
    """Show an event to a receiver; for event sinks."""


class Provider(msgspec.Struct, Generic[T], frozen=True):
    """How the gateway opens a plugin.

    `settings` is a frozen `msgspec.Struct` with `forbid_unknown_fields=True`, into which the
    config section is converted. `open` imports what is heavy. `shared=False` says that its data
    live in one process, so that several workers are refused; a function tells it from the settings.
    `blocks` tells ASGI when a request needs a thread: `False`, never; `"writes"`, not where it only
    reads a record, a page of segments, or makes URLs, all of which then takes far less than a
    millisecond and never waits for a writer; True, always, as for all that calls another machine.
    `summary` is one line for `tams-gateway plugins`. `api` is the version of the contracts that the
    plugin was made for, written as a number: whoever took it from the gateway would be made for
    every version. A plugin of another version is refused.
    """

    name: str
    settings: type[msgspec.Struct]
    open: Callable[..., T]
    """Called as `open(settings, context)`."""
    summary: str
    api: int
    shared: bool | Callable[..., bool] = True
    """Where the settings decide, called as `shared(settings)`."""
    blocks: Blocks = True

    def is_shared(self, settings: msgspec.Struct) -> bool:
        """Whether several processes may use at once what is opened with these settings."""
        return self.shared if isinstance(self.shared, bool) else self.shared(settings)
