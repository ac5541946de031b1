"""Deliveries to webhooks: the sink as the gateway knows it."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.health import Health
from tams_gateway.domain.timerange import SECOND
from tams_gateway.events.event import Event
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin import Context, PluginRoute, Provider, Secret, hookimpl
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.key_ring import Key
from tams_gateway.storage.query import Equal, Query
from tams_gateway.storage.webhooks import WEBHOOK
from tams_gateway_events import sealing, signing
from tams_gateway_events.addresses import Guard
from tams_gateway_events.courier import Courier
from tams_gateway_events.deliveries import Deliveries
from tams_gateway_events.engine import Engine
from tams_gateway_events.http import Client
from tams_gateway_events.messages import Messages
from tams_gateway_events.outbox import Outbox
from tams_gateway_events.retries import Retries
from tams_gateway_events.roster import Roster

_Seconds = Annotated[float, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]

_COUNTED = 100
"""Up to how many webhooks in error are counted."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `[[events]]` section; times in seconds."""

    allow_networks: tuple[str, ...] = ()
    """Networks that may be delivered to although they are not public."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts that may be delivered to whatever their addresses are."""
    ca_bundle: str | None = None
    """A file of certificates to trust instead of those of the system."""
    signing_secret: tuple[Secret, ...] = ()
    """Secrets of Standard Webhooks: each signs, so that a receiver needs to know one of them."""
    encryption_keys: tuple[Secret, ...] = ()
    """Keys that API keys are sealed with: the first one seals, all open."""
    retry_first: _Seconds = 1.0
    retry_longest: _Seconds = 300.0
    give_up_after: _Seconds = 86400.0
    timeout: _Seconds = 10.0
    per_receiver: _Count = 4
    threads: _Count = 64

    def __post_init__(self) -> None:
        """Check what the types do not say. Raises ValueError."""
        try:
            Guard(self.allow_networks)
        except ValueError as error:
            reason = "expected addresses or networks as 10.0.0.0/8"
            raise ValueError(f"allow_networks: {reason}") from error
        signing.secrets(one.value for one in self.signing_secret)
        sealing.configured(one.value for one in self.encryption_keys)


class Webhooks:
    """Follows the outbox for each webhook, and delivers to it as far as it is active."""

    def __init__(self, settings: Settings, context: Context) -> None:
        if context.metadata is None:
            raise ValueError("webhooks are kept in a metadata store")
        self._settings = settings
        self._context = context
        self._metadata = context.metadata
        self._guard = Guard(settings.allow_networks, settings.allow_hosts)
        self._client = Client(
            self._guard, settings.timeout, settings.per_receiver, settings.ca_bundle
        )
        self._configured = sealing.configured(one.value for one in settings.encryption_keys)
        self._seals = sealing.Seals(self._keys)
        secrets = signing.secrets(one.value for one in settings.signing_secret)
        self._messages = Messages(context.render, self._seals, secrets, context.now)
        self._engine: Engine | None = None

    def _keys(self) -> Sequence[Key]:
        """Return the keys of the config, and those of the store for what was sealed before."""
        return [*self._configured, *self._context.keys("webhooks").keys]

    def objection(self, url: str) -> str | None:
        """Say why a URL may not be registered; None if it may (R-WHK-03, G-11)."""
        return self._guard.objection(url)

    def seal(self, webhook_id: str, value: str) -> str:
        """Return the text under which an API key is kept. Raises `StoreError`."""
        return self._seals.seal(webhook_id, value)

    def routes(self) -> Sequence[PluginRoute]:
        """Return the routes of the deliveries."""
        deliveries = Deliveries(self._metadata, self._messages, self._client, self._context.now)
        return deliveries.routes()

    def activate(self, active: bool) -> None:
        """Begin to deliver, or leave it to another process, which knows what is stored alone."""
        if active and self._engine is None:
            self._engine = self._begin()
        elif not active and self._engine is not None:
            self._engine.stop()
            self._engine = None

    def wake(self) -> None:
        """Look at once for events and webhooks."""
        if self._engine is not None:
            self._engine.wake()

    def deliver(self, events: Sequence[Event]) -> None:
        """Never called: this sink follows the outbox itself."""
        raise NotImplementedError("webhooks follow the outbox")

    def check(self) -> Health:
        """Say how many webhooks fail, or are given up; that is no fault of the gateway."""
        engine = self._engine
        if engine is not None and engine.trouble:
            return Health(False, f"deliveries wait: {engine.trouble}")
        query = Query(WEBHOOK, (Equal("status", "error"),), limit=_COUNTED)
        try:
            given_up = len(self._metadata.find(query).items)
        except StoreError as error:
            return Health(False, str(error))
        since = [] if engine is None else engine.failing_since()
        failing = f"{len(since)} webhooks fail"
        if since:
            failing += f", the first since {date_time(int(min(since) * SECOND))}"
        return Health(True, f"{failing}; {given_up} are given up")

    def close(self) -> None:
        """Stop, and close all connections."""
        self.activate(False)
        self._client.close()

    def _begin(self) -> Engine:
        settings, now = self._settings, self._context.now
        outbox = Outbox(self._metadata)
        retries = Retries(settings.retry_first, settings.retry_longest, settings.give_up_after)
        courier = Courier(self._metadata, outbox, self._messages, self._client, retries, now)
        return Engine(
            Roster(self._metadata, self._context),
            outbox,
            courier,
            retries,
            settings.threads,
            settings.per_receiver,
            now,
            self._client.abort,
            self._context.log,
        )


@hookimpl
def tams_event_sink() -> Provider[EventSink]:
    """Register the sink."""
    summary = "Events to webhooks, signed, retried, in order."
    return Provider("webhook", Settings, Webhooks, summary, api=1)
