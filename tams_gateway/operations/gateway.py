"""The gateway as the operations see it: its stores, its limits, its clock."""

from collections.abc import Callable, Mapping

import msgspec

from tams_gateway.auth.access import OPEN, Policy
from tams_gateway.domain.object_key import DEFAULT_TEMPLATE
from tams_gateway.events.sink import DeliversWebhooks, EventSink
from tams_gateway.operations.answers import Answers
from tams_gateway.operations.audit import Audit
from tams_gateway.operations.event_feed import EventFeed
from tams_gateway.operations.recent import Recent
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore

_LONGER = 60
"""Seconds by which things outlast what `/service` promises."""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[limits]` section: sizes in bytes, times in seconds."""

    page_default: int = 100
    page_max: int = 1000
    body_bytes: int = 16 * 2**20
    header_bytes: int = 64 * 2**10
    media_bytes: int = 64 * 2**30
    objects_default: int = 10
    objects_max: int = 1000
    segments_per_event: int = 1000
    async_deletion_threshold: int = 1000
    min_object_timeout: int = 3600
    min_presigned_url_timeout: int = 3600
    deletion_request_lifetime: int = 7 * 24 * 3600
    event_streams: int = 1000
    """How many streams of events are open at once in each process at most."""
    event_lifetime: int = 7 * 24 * 3600
    """How long events are kept after they were made, whether or not somebody heard them."""
    auth_log_lifetime: int = 90 * 24 * 3600
    """How long the log of logins and the audit trail are kept."""
    kept_bytes: int = 64 * 2**20
    """How many bytes of answers each process keeps, to give them again while nothing changes."""
    require_upload: bool = False
    """Refuse segments whose bytes are not there yet."""

    @property
    def object_lifetime(self) -> int:
        """How long unused objects are kept: a little longer than promised (R-SVC-04)."""
        return self.min_object_timeout + _LONGER

    @property
    def url_lifetime(self) -> int:
        """How long signed URLs are valid: a little longer than promised (R-SVC-04, R-URL-10)."""
        return self.min_presigned_url_timeout + _LONGER


class Service(msgspec.Struct, frozen=True):
    """What the config says of the service; a posted name or description wins over it."""

    name: str | None = None
    description: str | None = None


class Backend(msgspec.Struct, frozen=True):
    """A configured object store as a TAMS storage backend.

    `name` is its config section, `template` and `prefix` make its keys. `document` is the whole
    storage-backend document as `/service/storage-backends` shows it, `verbose` what URL items
    show of it with `verbose_storage=true`. An instance shows at most `most_urls` in `get_urls`.
    """

    id: str
    name: str
    label: str
    default: bool
    tags: Mapping[str, str | list[str]]
    store: ObjectStore
    document: Mapping[str, object]
    verbose: Mapping[str, object]
    template: str = DEFAULT_TEMPLATE
    prefix: str = ""
    most_urls: int = 2


class Gateway(msgspec.Struct, frozen=True):
    """What an operation works on. Built once for each process, by `assembly`."""

    metadata: MetadataStore
    backends: Mapping[str, Backend]
    """By storage id; exactly one is the default."""
    limits: Limits
    service: Service
    now_ns: Callable[[], int]
    """The wall clock, in nanoseconds since 1970."""
    listening: bool = False
    """Whether a sink is configured; without one no events are written."""
    sinks: Mapping[str, EventSink] = {}
    """What delivers the events, by the name under which its place in the outbox is kept."""
    webhooks: DeliversWebhooks | None = None
    """The sink that delivers webhooks; without one the API has none (R-WHK-01)."""
    feed: EventFeed | None = None
    """What clients read of the events; there where somebody listens."""
    audit: Audit | None = None
    """Who notes the writes of requests, where that is wanted."""
    policy: Policy = OPEN
    """What access each principal has."""
    wake: Callable[[], None] = lambda: None
    """Tell the job runner that there is work."""
    recent: Recent = msgspec.field(default_factory=Recent)
    answers: Answers | None = None
    """The answers that are kept, where they are."""

    @property
    def default_backend(self) -> Backend:
        """The backend for allocations that name none (R-STO-05)."""
        return next(backend for backend in self.backends.values() if backend.default)
