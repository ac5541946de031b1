"""Webhooks as they are kept: what the API's operations write, and the sink that delivers reads."""

from typing import Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from tams_gateway.auth.principal import Principal
from tams_gateway.domain.tags import Tags, tag_fields
from tams_gateway.events.rendering import Shape
from tams_gateway.events.subscription import Subscription
from tams_gateway.storage.changes import Put
from tams_gateway.storage.records import FieldType, Kind, Record, Value

Status: TypeAlias = Literal["created", "started", "disabled", "error"]

WEBHOOK = Kind(
    "webhook",
    {"url": FieldType.TEXT, "owner": FieldType.TEXT, "status": FieldType.TEXT},
    tags=True,
)
"""The webhooks by id."""


class WebhookError(msgspec.Struct, frozen=True):
    """Why the server gave up: the error object of the spec."""

    type: str
    summary: str
    time: str


class Webhook(Subscription, frozen=True, kw_only=True):
    """A webhook as clients see it: the document of GET."""

    id: str
    url: str
    status: Status = "created"
    api_key_name: str | UnsetType = UNSET
    accept_get_urls: tuple[str, ...] | UnsetType = UNSET
    accept_storage_ids: tuple[str, ...] | UnsetType = UNSET
    presigned: bool | UnsetType = UNSET
    verbose_storage: bool | UnsetType = UNSET
    include_object_timerange: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    error: WebhookError | UnsetType = UNSET


class StoredWebhook(Webhook, frozen=True, kw_only=True):
    """A webhook with what no client sees.

    `owner` is who made it, for whom its events are judged. `base` is the URL under which that
    client reached the API. `sealed` is the API key as the sink sealed it. `since` is the cursor of
    the outbox behind which its events begin, and counts where `generation` is another than the
    sink met before: it grows when a disabled webhook is enabled again.
    """

    owner: Principal
    base: str
    since: str
    sealed: str | UnsetType = UNSET
    generation: int = 1

    @property
    def shape(self) -> Shape:
        """How its events show segments."""
        labels, presigned = self.accept_get_urls, self.presigned
        return Shape(
            base=self.base,
            accept_get_urls=None if isinstance(labels, UnsetType) else labels,
            accept_storage_ids=self.accept_storage_ids or (),
            presigned=None if isinstance(presigned, UnsetType) else presigned,
            verbose_storage=self.verbose_storage is True,
            include_object_timerange=self.include_object_timerange is True,
        )

    def put(self, expect: int) -> Put:
        """Return the change that stores it over a version."""
        fields: dict[str, Value] = {
            "url": self.url,
            "owner": self.owner.name,
            "status": self.status,
            **({} if isinstance(self.tags, UnsetType) else tag_fields(self.tags)),
        }
        return Put(WEBHOOK, self.id, msgspec.json.encode(self), fields, expect)


_decoder = msgspec.json.Decoder(StoredWebhook)
_shown = msgspec.json.Decoder(Webhook)


def read_webhook(record: Record) -> StoredWebhook:
    """Decode the record of a webhook."""
    return _decoder.decode(record.body)


def shown_webhook(body: bytes) -> bytes:
    """Return what clients see of the body of a webhook's record (R-WHK-05)."""
    return msgspec.json.encode(_shown.decode(body))


def begun_anew(record: Record, since: str) -> Record:
    """Return the record of a webhook from another store, whose cursors mean nothing in this one."""
    webhook = replace(read_webhook(record), since=since)
    return replace(record, body=msgspec.json.encode(webhook))
