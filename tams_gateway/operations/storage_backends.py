"""The storage backends of the service, as the config made them (R-STB)."""

import msgspec

from tams_gateway.domain.tags import tag_fields
from tams_gateway.operations.documents import json_list
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.paging import Paging, encode_key, order_headers, page_headers
from tams_gateway.operations.params import Params
from tams_gateway.operations.visibility import knows


class _Place(msgspec.Struct, array_like=True):
    label: str
    id: str


def get_storage_backends(gateway: Gateway, request: Request) -> Response:
    """Return a page of the backends that the principal knows, by label (R-STB-04)."""
    params = Params(request.query)
    paging = Paging.of(params, gateway.limits)
    reverse = params.boolean("reverse_order") is True
    filters = params.tag_filters()
    after = paging.decode(_Place)
    found = sorted(
        (
            backend
            for backend in gateway.backends.values()
            if knows(request.access, backend)
            and all(one.holds(tag_fields(backend.tags)) for one in filters)
        ),
        key=_order,
        reverse=reverse,
    )
    if after is not None:
        place = (after.label, after.id)
        found = [one for one in found if (_order(one) < place if reverse else _order(one) > place)]
    items = found[: paging.limit]
    next_key = encode_key(_Place(*_order(items[-1]))) if len(found) > len(items) else None
    more = order_headers(len(items), reverse)
    return Response(
        body=json_list([msgspec.json.encode(backend.document) for backend in items]),
        headers=page_headers(request, params, paging.limit, next_key, more),
    )


def _order(backend: Backend) -> tuple[str, str]:
    return backend.label, backend.id
