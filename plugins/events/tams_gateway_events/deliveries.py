"""`/webhooks/{id}/deliveries`: the last attempts of a webhook, and how one is sent again."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import UNSET

from tams_gateway.auth.principal import Scope
from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.errors import NotFound
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.domain.timerange import SECOND
from tams_gateway.events.event import Event
from tams_gateway.plugin import PluginRoute, Request, Response
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.records import Record
from tams_gateway.storage.webhooks import WEBHOOK, StoredWebhook, read_webhook
from tams_gateway_events.http import Answer, Client
from tams_gateway_events.messages import Messages, Unsendable
from tams_gateway_events.outbox import Outbox
from tams_gateway_events.state import (
    DELIVERY,
    KEPT,
    Place,
    Redelivery,
    StoredDelivery,
    delivery_id,
    mark,
    read_delivery,
)

_PATH: Final = "/webhooks/{webhookId}/deliveries"


class Deliveries:
    """The routes; a webhook belongs to its maker, and for others but admins it is not there."""

    def __init__(
        self,
        metadata: MetadataStore,
        messages: Messages,
        client: Client,
        now: Callable[[], float],
    ) -> None:
        self._metadata = metadata
        self._messages = messages
        self._client = client
        self._now = now

    def routes(self) -> Sequence[PluginRoute]:
        """Return the routes: reading asks for a scope that reads, sending for one that writes."""
        read, write = frozenset({Scope.READ, Scope.ADMIN}), frozenset({Scope.WRITE, Scope.ADMIN})
        return (
            PluginRoute("GET", _PATH, self.listed, read),
            PluginRoute("POST", f"{_PATH}/{{deliveryId}}/redeliver", self.redeliver, write),
        )

    def listed(self, request: Request) -> Response:
        """Return the last attempts, the newest first. Raises `NotFound` and `StoreError`."""
        webhook = self._webhook(request)
        ids = [delivery_id(webhook.id, number) for number in range(KEPT)]
        found = [read_delivery(one.body) for one in self._metadata.get(DELIVERY, ids).values()]
        found.sort(key=lambda one: int(one.shown.id), reverse=True)
        return Response(body=msgspec.json.encode([one.shown for one in found]))

    def redeliver(self, request: Request) -> Response:
        """Send the event of an attempt once more, now; return the attempt with what came of it.

        Raises `NotFound`, also where the event is forgotten, and `StoreError`.
        """
        webhook = self._webhook(request)
        record = self._delivery(webhook, request.path["deliveryId"])
        stored = read_delivery(record.body)
        answer = self._send(webhook, self._event(stored.place))
        redelivery = Redelivery(
            time=date_time(int(self._now() * SECOND)),
            delivered=answer.ok,
            status=UNSET if answer.status is None else answer.status,
            error=answer.error or UNSET,
        )
        shown = msgspec.structs.replace(stored.shown, redelivery=redelivery)
        told = StoredDelivery(shown, stored.place)
        with suppress(ConflictError):  # A newer attempt has its record by now.
            self._metadata.apply([told.put(webhook.id, record.version)])
        return Response(body=msgspec.json.encode(shown))

    def _webhook(self, request: Request) -> StoredWebhook:
        webhook_id = path_uuid(request.path["webhookId"], "webhook")
        record = self._metadata.get(WEBHOOK, [webhook_id]).get(webhook_id)
        if record is not None:
            webhook, principal = read_webhook(record), request.principal
            if Scope.ADMIN in principal.scopes or webhook.owner.name == principal.name:
                return webhook
        raise NotFound(f"no webhook {webhook_id}")

    def _delivery(self, webhook: StoredWebhook, number: str) -> Record:
        id_ = delivery_id(webhook.id, int(number)) if number.isdecimal() else ""
        record = self._metadata.get(DELIVERY, [id_]).get(id_)
        if record is None or read_delivery(record.body).shown.id != number:
            raise NotFound(f"no delivery {number!r} among the last of webhook {webhook.id}")
        return record

    def _event(self, place: Place) -> Event:
        """Return the event before a place. Raises `NotFound` if it is kept no more."""
        batch = Outbox(self._metadata).read(place.cursor, place.done)
        event = batch.events[place.done - 1] if place.done <= len(batch.events) else None
        if event is None or mark(event) != place.mark:
            raise NotFound("the event of this delivery is kept no more")
        return event

    def _send(self, webhook: StoredWebhook, event: Event) -> Answer:
        try:
            message = self._messages.make(webhook, event)
        except Unsendable as error:
            return Answer(error=str(error))
        if message is None:
            raise NotFound("the owner of the webhook may read no more what this event is about")
        return self._client.post(webhook.url, message.headers, message.body)
