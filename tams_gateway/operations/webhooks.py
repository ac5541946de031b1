"""Webhooks: registered, listed, changed, deleted (R-WHK-01 to -13); a sink delivers to them.

A webhook belongs to its maker: for others, but admins, it is not there (R-WHK-11).
"""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from tams_gateway.auth.principal import Scope
from tams_gateway.domain.errors import Invalid, NotFound
from tams_gateway.domain.identifiers import new_uuid, path_uuid
from tams_gateway.events.sink import DeliversWebhooks
from tams_gateway.operations.filters import equal, tags
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW, SOURCE
from tams_gateway.operations.listing import list_records
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.operations.visibility import among
from tams_gateway.operations.webhook_bodies import Sent, parse_post, parse_put
from tams_gateway.storage.changes import ABSENT, Delete, Put
from tams_gateway.storage.query import Sort
from tams_gateway.storage.records import Record
from tams_gateway.storage.webhooks import WEBHOOK, StoredWebhook, read_webhook, shown_webhook

_FILTERS = (
    ("flow_ids", FLOW),
    ("source_ids", SOURCE),
    ("flow_collected_by_ids", FLOW),
    ("source_collected_by_ids", SOURCE),
)


def get_webhooks(gateway: Gateway, request: Request) -> Response:
    """Return a page of the webhooks by URL (R-WHK-12)."""
    _sink(gateway)
    params = Params(request.query)
    where = [*equal("owner", _owner(request)), *tags(params)]
    return list_records(gateway, request, params, WEBHOOK, where, Sort("url"), show=_shown)


def get_webhook(gateway: Gateway, request: Request) -> Response:
    """Return one webhook."""
    _sink(gateway)
    return Response(body=_shown(_record(gateway, request)))


def post_webhook(gateway: Gateway, request: Request) -> Response:
    """Register a webhook under a new id, whatever others there are (R-WHK-02, -04)."""
    webhook_id = new_uuid()
    put = registered(gateway, request, webhook_id)
    headers = {"Location": f"{request.base}/service/webhooks/{webhook_id}"}
    return _stored(gateway, put, headers)


def registered(gateway: Gateway, request: Request, webhook_id: str) -> Put:
    """Return the change that registers a webhook under an id that none has."""
    sink = _sink(gateway)
    sent = parse_post(request.body)
    _check(gateway, sink, request, sent)
    return StoredWebhook(
        **_members(sent, webhook_id),
        owner=request.principal,
        base=request.base,
        since=gateway.metadata.tip(),
        sealed=_sealed(sink, webhook_id, sent, UNSET),
    ).put(ABSENT)


def put_webhook(gateway: Gateway, request: Request) -> Response:
    """Replace a webhook; the API key stays where none is sent (R-WHK-06 to -08)."""
    sink = _sink(gateway)
    record = _record(gateway, request)
    before = read_webhook(record)
    sent = parse_put(request.body, record.id)
    if before.status == "error" and sent.status == "disabled":
        raise Invalid.at("/status", "the webhook is in error: enable it again, or delete it")
    _check(gateway, sink, request, sent)
    webhook = StoredWebhook(
        **_members(sent, record.id),
        owner=before.owner,
        base=before.base,
        since=before.since,
        sealed=_sealed(sink, record.id, sent, before.sealed),
        generation=before.generation,
    )
    if request.principal.name == before.owner.name:
        # With the groups and the address that its maker has by now.
        webhook = replace(webhook, owner=request.principal, base=request.base)
    if before.status == "disabled" and sent.status == "created":
        # What happened meanwhile is not told; a running one, or one in error, goes on instead.
        since = gateway.metadata.tip()
        webhook = replace(webhook, since=since, generation=before.generation + 1)
    return _stored(gateway, webhook.put(record.version))


def delete_webhook(gateway: Gateway, request: Request) -> Response:
    """Delete a webhook, and with it its deliveries (R-WHK-10)."""
    _sink(gateway)
    record = _record(gateway, request)
    gateway.metadata.apply([Delete(WEBHOOK, record.id, record.version)])
    gateway.wake()
    return Response(status=204)


def _sink(gateway: Gateway) -> DeliversWebhooks:
    """Return what delivers; raises `NotFound` where nothing does (R-WHK-01)."""
    if gateway.webhooks is None:
        raise NotFound("path: no sink of this gateway delivers webhooks")
    return gateway.webhooks


def _owner(request: Request) -> str | None:
    """Return whose webhooks the principal sees; None: everybody's."""
    principal = request.principal
    return None if Scope.ADMIN in principal.scopes else principal.name


def _record(gateway: Gateway, request: Request) -> Record:
    """Return what the path names; raises `NotFound`, also for what belongs to another."""
    webhook_id = path_uuid(request.path["webhookId"], "webhook")
    record = gateway.metadata.get(WEBHOOK, [webhook_id]).get(webhook_id)
    if record is None or _owner(request) not in (None, record.fields["owner"]):
        raise NotFound(f"no webhook {webhook_id}")
    return record


def _check(gateway: Gateway, sink: DeliversWebhooks, request: Request, sent: Sent) -> None:
    """Refuse a URL that the sink will not reach, and filters by what cannot be read.

    Ids that nothing has yet are fine where all may read all; else they look as unreadable ones do
    (R-AUTH-07).
    """
    objection = sink.objection(sent.url)
    if objection is not None:
        raise Invalid.at("/url", objection)
    for name, kind in _FILTERS:
        ids = getattr(sent, name) or ()
        readable = among(gateway, request.access, kind, ids)
        for index, id_ in enumerate(ids):
            if id_ not in readable:
                raise Invalid.at(f"/{name}/{index}", f"no {kind.name} {id_}")


def _sealed(
    sink: DeliversWebhooks, webhook_id: str, sent: Sent, before: str | UnsetType
) -> str | UnsetType:
    """Return the API key as it is kept; no name or an empty value removes it (R-WHK-07)."""
    if sent.api_key_name is UNSET or sent.api_key_value == "":
        return UNSET
    if isinstance(sent.api_key_value, UnsetType):
        return before
    return sink.seal(webhook_id, sent.api_key_value)


def _members(sent: Sent, webhook_id: str) -> dict[str, Any]:
    """Return what clients see of a webhook."""
    members = {**asdict(sent), "id": webhook_id}
    del members["api_key_value"]
    return members


def _stored(gateway: Gateway, put: Put, headers: Mapping[str, str] = {}) -> Response:
    gateway.metadata.apply([put])
    gateway.wake()
    return Response(status=201, body=shown_webhook(put.body), headers=headers)


def _shown(record: Record) -> bytes:
    return shown_webhook(record.body)
