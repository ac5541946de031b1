"""What is kept of each webhook beside its record: how far it has come, and its last attempts."""

import hashlib
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.events.event import Event
from tams_gateway.storage.changes import Put
from tams_gateway.storage.records import Kind

CURSOR: Final = Kind("cursor", {})
"""The kind in which every place in the outbox is kept. Backups leave it out, since a place means
nothing in another store."""

DELIVERY: Final = Kind("webhook_delivery", {})
"""Attempts, in `KEPT` records for each webhook that are written again and again."""

KEPT: Final = 100
"""How many attempts are kept of each webhook."""

PREFIX: Final = "webhook."
"""What the ids of the places of webhooks begin with."""


class Place(msgspec.Struct, frozen=True):
    """A place in the outbox: so many events behind a cursor.

    `mark` is that of the last of these events. Should some of them be forgotten meanwhile, another
    event stands there, and the count is worth nothing.
    """

    cursor: str | None
    done: int = 0
    mark: str = ""


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a webhook has come, and how it fares.

    Times are seconds since 1970. `generation` is that of the webhook for which it holds.
    `failing_since` is when the first of `attempts` failed attempts in a row was made, `next_at`
    when the next one is due, `failure` what the last one met. `sent` counts all attempts ever.
    """

    place: Place
    generation: int
    failing_since: float | None = None
    attempts: int = 0
    next_at: float = 0.0
    failure: str = ""
    sent: int = 0

    def put(self, webhook_id: str, expect: int) -> Put:
        """Return the change that stores it over a version."""
        return Put(CURSOR, PREFIX + webhook_id, msgspec.json.encode(self), {}, expect)


class Redelivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of sending an event once more by hand."""

    time: str
    delivered: bool
    status: int | UnsetType = UNSET
    error: str | UnsetType = UNSET


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt to deliver an event, as it is shown.

    `id` counts the attempts of a webhook, `attempt` those of the event. `message_id` is the
    `webhook-id` that the receiver got.
    """

    id: str
    message_id: str
    event_type: str
    time: str
    attempt: int
    milliseconds: int
    delivered: bool
    status: int | UnsetType = UNSET
    error: str | UnsetType = UNSET
    redelivery: Redelivery | UnsetType = UNSET


class StoredDelivery(msgspec.Struct, frozen=True):
    """An attempt with the place behind its event, where the event is found again."""

    shown: Delivery
    place: Place

    def put(self, webhook_id: str, expect: int) -> Put:
        """Return the change that stores it over a version."""
        record_id = delivery_id(webhook_id, int(self.shown.id))
        return Put(DELIVERY, record_id, msgspec.json.encode(self), {}, expect)


def delivery_id(webhook_id: str, number: int) -> str:
    """Return the id of the record of an attempt, which the `KEPT`th after it takes over."""
    return f"{webhook_id}.{number % KEPT}"


def mark(event: Event) -> str:
    """Return what tells an event from others."""
    digest = hashlib.blake2b(f"{event.type} {event.at_ns} ".encode(), digest_size=8)
    digest.update(event.body)
    return digest.hexdigest()


read_state = msgspec.json.Decoder(State).decode
read_delivery = msgspec.json.Decoder(StoredDelivery).decode
