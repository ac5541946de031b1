"""What a receiver gets for an event: its body and headers (R-WHK-22)."""

import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

import msgspec
from msgspec import UnsetType

from tams_gateway.events.event import Event
from tams_gateway.events.rendering import Render
from tams_gateway.storage.webhooks import StoredWebhook
from tams_gateway_events import signing
from tams_gateway_events.sealing import Seals, Unsealable

_AGENT: Final = f"tams-gateway/{version('tams-gateway')}"
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Unsendable(Exception):
    """A message that cannot be made for this webhook; the message says why."""


class Message(msgspec.Struct, frozen=True):
    """A POST to a webhook; `id` is the `webhook-id`."""

    id: str
    headers: dict[str, str | bytes]
    body: bytes


class Messages:
    """Makes messages: what is told, the API key, and signatures by each secret of the ring."""

    def __init__(
        self, render: Render, seals: Seals, secrets: Sequence[bytes], now: Callable[[], float]
    ) -> None:
        self._render = render
        self._seals = seals
        self._secrets = secrets
        self._now = now

    def make(self, webhook: StoredWebhook, event: Event) -> Message | None:
        """Return the message, None where the webhook's owner may not read what it is about.

        Raises `Unsendable` and `StoreError`.
        """
        body = self._render(event, webhook.shape, webhook.owner)
        if body is None:
            return None
        id_ = signing.message_id(webhook.id, event)
        headers: dict[str, str | bytes] = {"Content-Type": "application/json", "User-Agent": _AGENT}
        if self._secrets:
            headers |= signing.headers(self._secrets, id_, int(self._now()), body)
        taken = {name.lower() for name in headers}
        for name, value in self._api_key(webhook).items():
            if name.lower() not in taken:
                headers[name] = value
        return Message(id_, headers, body)

    def _api_key(self, webhook: StoredWebhook) -> dict[str, bytes]:
        name, sealed = webhook.api_key_name, webhook.sealed
        if isinstance(name, UnsetType) or isinstance(sealed, UnsetType):
            return {}
        try:
            value = self._seals.open(webhook.id, sealed).encode()
        except Unsealable as error:
            raise Unsendable(str(error)) from error
        # Whatever a store holds: nobody adds a header, or ends the request, by a line break.
        if _NAME.fullmatch(name) is None or any(byte < 32 or byte == 127 for byte in value):
            raise Unsendable("api_key_name or api_key_value is not fit for a header")
        return {name: value}
