"""The audit trail and the log of logins, for admins (beside the paths of the spec)."""

from typing import Final

from tams_gateway.operations.filters import equal
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import AUDIT, AUTH_LOG
from tams_gateway.operations.listing import list_records
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.storage.query import Sort
from tams_gateway.storage.records import Kind, Record

_NEWEST: Final = Sort("at", descending=True)


def get_audit(gateway: Gateway, request: Request) -> Response:
    """Return a page of the audit trail, newest first: by `who`, `resource`, `request_id`."""
    return _listed(gateway, request, AUDIT, ("who", "resource", "request_id"))


def get_auth_log(gateway: Gateway, request: Request) -> Response:
    """Return a page of the log of logins, newest first: by `who`, `action`, `request_id`."""
    return _listed(gateway, request, AUTH_LOG, ("who", "action", "request_id"))


def _listed(gateway: Gateway, request: Request, kind: Kind, filters: tuple[str, ...]) -> Response:
    params = Params(request.query)
    where = [one for name in filters for one in equal(name, params.text(name))]
    return list_records(gateway, request, params, kind, where, _NEWEST, show=_shown)


def _shown(record: Record) -> bytes:
    return record.body
