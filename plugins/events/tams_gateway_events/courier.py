"""A turn of a webhook: its next events are delivered, one after the other."""

import enum
import threading
import time
from collections.abc import Callable

from msgspec import UNSET
from msgspec.structs import replace

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.timerange import SECOND
from tams_gateway.events.event import Event
from tams_gateway.events.subscription import wants
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.webhooks import WEBHOOK
from tams_gateway_events.follower import Follower
from tams_gateway_events.http import Answer, Client
from tams_gateway_events.messages import Messages, Unsendable
from tams_gateway_events.outbox import Batch, Outbox
from tams_gateway_events.retries import Retries, recovered
from tams_gateway_events.state import Delivery, Place, StoredDelivery, mark

_TURN = 1.0
"""Seconds after which others get a turn."""


class Outcome(enum.Enum):
    """How a turn ended."""

    WAITS = "it has all that has come by now"
    AGAIN = "it has more"
    SLEEPS = "its receiver failed; it is due at `next_at`"
    CHANGED = "its record is not as it was: look anew"


class Courier:
    """Gives webhooks their turns; used by many threads at once.

    `now` is the wall clock in seconds. Once `stopped` is set, nothing counts as failed.
    """

    def __init__(
        self,
        metadata: MetadataStore,
        outbox: Outbox,
        messages: Messages,
        client: Client,
        retries: Retries,
        now: Callable[[], float],
    ) -> None:
        self.stopped = threading.Event()
        self._metadata = metadata
        self._outbox = outbox
        self._messages = messages
        self._client = client
        self._retries = retries
        self._now = now

    def turn(self, follower: Follower) -> Outcome:
        """Deliver what the webhook wants, up to a failure or for a while. Raises `StoreError`.

        Its state is right whenever this ends, also by an exception.
        """
        end = time.monotonic() + _TURN
        while True:
            place = follower.state.place
            batch = self._outbox.read(place.cursor, place.done)
            outcome = self._deliver(follower, batch, end)
            if outcome is not None:
                return outcome
            follower.move(Place(batch.end))
            if not batch.full:
                return Outcome.WAITS

    def _deliver(self, follower: Follower, batch: Batch, end: float) -> Outcome | None:
        """Deliver from a batch; None: to its end."""
        for index in range(batch.first(follower.state.place), len(batch.events)):
            event = batch.events[index]
            if not wants(follower.webhook, event):
                continue
            if self.stopped.is_set() or time.monotonic() >= end:
                return Outcome.AGAIN
            record = self._metadata.get(WEBHOOK, [follower.id]).get(follower.id)
            if record is None or record.version != follower.version:
                return Outcome.CHANGED
            behind = Place(batch.start, index + 1, mark(event))
            if not self._attempt(follower, event, behind):
                return Outcome.AGAIN if self.stopped.is_set() else Outcome.SLEEPS
        return None

    def _attempt(self, follower: Follower, event: Event, behind: Place) -> bool:
        """Send one event and note what came of it; return whether it is done with."""
        message_id, began = "", time.monotonic()
        try:
            message = self._messages.make(follower.webhook, event)
            if message is None:
                follower.move(behind)
                return True
            message_id = message.id
            answer = self._client.post(follower.webhook.url, message.headers, message.body)
        except Unsendable as error:
            answer = Answer(error=str(error))
        if self.stopped.is_set() and not answer.ok:
            return False
        milliseconds = round((time.monotonic() - began) * 1000)
        self._note(follower, event, behind, message_id, answer, milliseconds)
        if answer.ok:
            follower.state = recovered(replace(follower.state, place=behind))
        else:
            follower.state = self._retries.failed(follower.state, answer, self._now())
        return answer.ok

    def _note(
        self,
        follower: Follower,
        event: Event,
        behind: Place,
        message_id: str,
        answer: Answer,
        milliseconds: int,
    ) -> None:
        sent = follower.state.sent + 1
        shown = Delivery(
            id=str(sent),
            message_id=message_id,
            event_type=event.type,
            time=date_time(int(self._now() * SECOND)),
            attempt=follower.state.attempts + 1,
            milliseconds=milliseconds,
            delivered=answer.ok,
            status=UNSET if answer.status is None else answer.status,
            error=answer.error or UNSET,
        )
        follower.unsaved.append(StoredDelivery(shown, behind))
        follower.state = replace(follower.state, sent=sent)
