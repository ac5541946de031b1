"""Deletion requests as clients read them (R-DEL)."""

import msgspec

from tams_gateway.auth.access import Permission
from tams_gateway.domain.identifiers import path_uuid
from tams_gateway.operations.deletions import read_task
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import DELETION_REQUEST
from tams_gateway.operations.listing import chosen_sort, list_records
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.operations.visibility import permitted
from tams_gateway.storage.query import Sort
from tams_gateway.storage.records import Record

_SORTS = (
    ("created", Sort("created", descending=True)),
    ("expiry", Sort("expiry", descending=True)),
)


def get_deletion_requests(gateway: Gateway, request: Request) -> Response:
    """Return a page of deletion requests."""
    params = Params(request.query)
    sort = chosen_sort(params, _SORTS)
    return list_records(gateway, request, params, DELETION_REQUEST, (), sort, show=_shown)


def get_deletion_request(gateway: Gateway, request: Request) -> Response:
    """Return one deletion request; one past its expiry is gone (R-DEL-05).

    It is for those who may delete its flow (R-AUTH-07).
    """
    request_id = path_uuid(request.path["requestId"], "deletion request")
    record = gateway.metadata.get(DELETION_REQUEST, [request_id]).get(request_id)
    if record is not None and _expired(record, gateway.now_ns()):
        record = None
    what = f"deletion request {request_id}"
    record = permitted(request.access, Permission.DELETE, record, what)
    return Response(body=_shown(record))


def _expired(record: Record, now_ns: int) -> bool:
    expiry = record.fields.get("expiry")
    return isinstance(expiry, int) and expiry <= now_ns


def _shown(record: Record) -> bytes:
    return msgspec.json.encode(read_task(record).document)
