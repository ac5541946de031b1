"""A webhook at work in this process."""

from collections import deque
from collections.abc import Sequence

from msgspec.structs import replace
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from tams_gateway.storage.webhooks import StoredWebhook
from tams_gateway_events.state import KEPT, Place, State, StoredDelivery


class Follower:
    """A webhook, how far it has come, and what of that is not stored yet.

    One thread at a time works on it: the engine's, or the one that has its turn. `version` is
    that of the webhook's record, `state_version` that of its state's.
    """

    def __init__(
        self, webhook: StoredWebhook, version: int, state: State, state_version: int
    ) -> None:
        self.webhook = webhook
        self.version = version
        self.state = state
        self.state_version = state_version
        self.stored = state
        self.unsaved: deque[StoredDelivery] = deque(maxlen=KEPT)
        self.busy = False
        self.receiver = receiver(webhook.url)

    @property
    def id(self) -> str:
        """The id of the webhook."""
        return self.webhook.id

    def move(self, place: Place) -> None:
        """Note that it has come to a place."""
        self.state = replace(self.state, place=place)

    def saved(self, state: State, deliveries: Sequence[StoredDelivery]) -> None:
        """Note that this much of it is stored; its turn may have gone on meanwhile."""
        self.stored = state
        ids = {delivery.shown.id for delivery in deliveries}
        while self.unsaved and self.unsaved[0].shown.id in ids:
            self.unsaved.popleft()


def receiver(url: str) -> str:
    """Return what is capped and fails as one: scheme, host and port of a URL."""
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return url
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")
    return f"{parsed.scheme}://{parsed.host}:{port}"
