"""The webhooks at work in this process, and their records in the metadata store."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from tams_gateway.domain.datetimes import date_time
from tams_gateway.domain.timerange import SECOND
from tams_gateway.plugin import Context
from tams_gateway.storage.changes import ABSENT, ANY, Change, Delete
from tams_gateway.storage.errors import ConflictError
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.query import After, Query
from tams_gateway.storage.records import Kind, Record
from tams_gateway.storage.webhooks import WEBHOOK, StoredWebhook, WebhookError, read_webhook
from tams_gateway_events.follower import Follower
from tams_gateway_events.matching import Index
from tams_gateway_events.retries import recovered
from tams_gateway_events.state import (
    CURSOR,
    DELIVERY,
    KEPT,
    PREFIX,
    Place,
    State,
    delivery_id,
    read_state,
)

T = TypeVar("T")

_PAGE = 1000
_AT_ONCE = 200
"""How many states go into one `apply`."""


class Roster:
    """Every webhook that is enabled, by id, as far as this process knows; of one thread alone."""

    def __init__(self, metadata: MetadataStore, context: Context) -> None:
        self.followers: dict[str, Follower] = {}
        self.index = Index()
        self._metadata = metadata
        self._now = context.now
        self._log = context.log

    def clean(self) -> None:
        """Drop the states of webhooks that are gone, deleted while they were not at work."""
        states = [
            one.id.removeprefix(PREFIX)
            for one in _all(self._metadata, CURSOR)
            if one.id.startswith(PREFIX)
        ]
        there = self._metadata.get(WEBHOOK, states)
        self._drop(one for one in states if one not in there)

    def refresh(self) -> list[Follower]:
        """Read the webhooks anew, and return those that are to be added. Raises `StoreError`.

        One that is changed is saved and taken up anew; one that has its turn sees that itself.
        """
        records = {record.id: record for record in _all(self._metadata, WEBHOOK)}
        self.save(self.followers.values())
        gone = []
        for follower in list(self.followers.values()):
            record = records.get(follower.id)
            if not follower.busy and (record is None or record.version != follower.version):
                self.remove(follower)
                gone += [follower.id] if record is None else []
        self._drop(gone)
        unknown = [record for id_, record in records.items() if id_ not in self.followers]
        enabled = [one for one in unknown if one.fields["status"] in ("created", "started")]
        return [follower for some in _parts(enabled) for follower in self._take_up(some)]

    def add(self, follower: Follower) -> None:
        """Know a webhook from here on."""
        self.followers[follower.id] = follower
        self.index.add(follower.id, follower.webhook)

    def remove(self, follower: Follower) -> None:
        """Know a webhook no more; what is not saved of it is lost."""
        if self.followers.get(follower.id) is follower:
            del self.followers[follower.id]
            self.index.remove(follower.id, follower.webhook)

    def save(self, followers: Iterable[Follower]) -> None:
        """Store what is new of them, many at once. Raises `StoreError`.

        Where another process has stored something, it has taken over: what it knows counts.
        """
        changed = [one for one in followers if one.state is not one.stored or one.unsaved]
        for some in _parts(changed):
            if not self._save(some):
                for one in some:
                    if not self._save([one]):
                        self._log.warning("webhook_state_conflict", webhook_id=one.id)
                        self.remove(one)

    def give_up(self, follower: Follower) -> None:
        """Let a webhook rest in `error` until somebody enables it (R-WHK-24)."""
        state, webhook = follower.state, follower.webhook
        since = date_time(int((state.failing_since or 0.0) * SECOND))
        error = WebhookError(
            type="delivery_failed",
            summary=f"{state.attempts} attempts failed since {since}, the last: {state.failure}",
            time=date_time(int(self._now() * SECOND)),
        )
        self.save([follower])
        given_up = replace(webhook, status="error", error=error)
        try:
            self._metadata.apply([given_up.put(follower.version)])
        except ConflictError:
            self._log.debug("webhook_changed", webhook_id=follower.id)
        else:
            self._log.error("webhook_given_up", webhook_id=follower.id, error=error.summary)
        self.remove(follower)

    def _take_up(self, records: Sequence[Record]) -> Iterator[Follower]:
        """Begin with some webhooks: they are `started` from here on (R-WHK-04)."""
        ids = [record.id for record in records]
        states = self._states(ids)
        starts = [_start(record, *states.get(record.id, (None, ABSENT))) for record in records]
        if any(starts):
            self._apply_each(starts)
            states = self._states(ids)
            records = list(self._metadata.get(WEBHOOK, ids).values())
        for record in records:
            webhook = read_webhook(record)
            if webhook.id in states and webhook.status == "started":
                yield Follower(webhook, record.version, *states[webhook.id])

    def _apply_each(self, parts: Sequence[Sequence[Change]]) -> None:
        """Make all changes together or, where somebody was faster, each part's alone."""
        if not self._try([change for part in parts for change in part]):
            for part in parts:
                self._try(part)

    def _states(self, webhook_ids: Sequence[str]) -> dict[str, tuple[State, int]]:
        """Return the states of webhooks that have one, each with the version of its record."""
        found = self._metadata.get(CURSOR, [PREFIX + id_ for id_ in webhook_ids])
        return {
            id_.removeprefix(PREFIX): (read_state(record.body), record.version)
            for id_, record in found.items()
        }

    def _save(self, followers: Sequence[Follower]) -> bool:
        """Store the states of some; return whether nobody else had stored one."""
        saving = [(one, one.state, list(one.unsaved)) for one in followers]
        changes: list[Change] = []
        for one, state, deliveries in saving:
            changes.append(state.put(one.id, one.state_version))
            changes += [delivery.put(one.id, ANY) for delivery in deliveries]
        if not self._try(changes):
            return False
        stored = self._states([one.id for one in followers])
        for one, state, deliveries in saving:
            found, one.state_version = stored.get(one.id, (None, ABSENT))
            if found != state:
                return False
            one.saved(state, deliveries)
        return True

    def _try(self, changes: Sequence[Change]) -> bool:
        try:
            self._metadata.apply(changes)
        except ConflictError:
            return False
        return True

    def _drop(self, webhook_ids: Iterable[str]) -> None:
        """Delete the states and the attempts of webhooks that are gone."""
        for webhook_id in webhook_ids:
            ids = [delivery_id(webhook_id, number) for number in range(KEPT)]
            changes: list[Change] = [Delete(DELIVERY, id_) for id_ in ids]
            self._metadata.apply([*changes, Delete(CURSOR, PREFIX + webhook_id)])


def _start(record: Record, state: State | None, version: int) -> list[Change]:
    """Return what is to be stored when a webhook is taken up."""
    webhook = read_webhook(record)
    begun = _begun(webhook, state)
    changes: list[Change] = [] if begun == state else [begun.put(webhook.id, version)]
    if webhook.status == "created":
        changes.append(replace(webhook, status="started").put(record.version))
    return changes


def _begun(webhook: StoredWebhook, state: State | None) -> State:
    """Return the state with which a webhook goes on; a new one, or a restored one, has none yet."""
    if state is not None and state.generation == webhook.generation:
        return recovered(state) if webhook.status == "created" else state
    sent = 0 if state is None else state.sent
    return State(Place(webhook.since), webhook.generation, sent=sent)


def _all(metadata: MetadataStore, kind: Kind) -> Iterator[Record]:
    query = Query(kind, limit=_PAGE)
    while True:
        page = metadata.find(query)
        yield from page.items
        if not page.more:
            return
        query = replace(query, after=After(None, page.items[-1].id))


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))
