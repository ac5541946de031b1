"""Listings of records: filters and order to the store, pages and headers to the client."""

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from tams_gateway.auth.access import Access
from tams_gateway.domain.errors import Invalid
from tams_gateway.operations.documents import json_list
from tams_gateway.operations.filters import UNCOLLECTED
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.paging import (
    Paging,
    order_headers,
    page_headers,
    place_of,
    record_key,
)
from tams_gateway.operations.params import Params
from tams_gateway.operations.visibility import readable, shown, uncollected
from tams_gateway.storage.query import Condition, Page, Query, Sort
from tams_gateway.storage.records import Kind, Record


def list_records(
    gateway: Gateway,
    request: Request,
    params: Params,
    kind: Kind,
    where: Sequence[Condition],
    sort: Sort,
    *,
    show: Callable[[Record], bytes],
    ordered: bool = True,
) -> Response:
    """Return the page that the request asks for of the records that meet the conditions.

    What the principal may not read is no part of the listing (R-AUTH-07).

    `ordered` listings know `reverse_order` and its headers; that of profiles does not.
    """
    paging = Paging.of(params, gateway.limits)
    reverse = ordered and params.boolean("reverse_order") is True
    after = paging.after(kind, sort)
    conditions = (*where, *readable(request.access, kind))
    query = Query(kind, conditions, sort, reverse, after, paging.limit)
    page = _find(gateway, request.access, query)
    next_key = record_key(page.items[-1], sort) if page.more else None
    more = order_headers(len(page.items), reverse) if ordered else {}
    headers = page_headers(request, params, paging.limit, next_key, more)
    items = shown(gateway, request.access, kind, page.items)
    return Response(body=json_list([show(record) for record in items]), headers=headers)


def _find(gateway: Gateway, access: Access, query: Query) -> Page[Record]:
    """Return a full page; what only hidden records collect counts as collected by nothing."""
    if access.everything or UNCOLLECTED not in query.where:
        return gateway.metadata.find(query)
    rest = tuple(one for one in query.where if one != UNCOLLECTED)
    query = replace(query, where=rest)
    found: list[Record] = []
    while True:
        page = gateway.metadata.find(query)
        found += uncollected(gateway, access, query.kind, page.items)
        if not page.more or len(found) > query.limit:
            return Page(found[: query.limit], len(found) > query.limit)
        query = replace(query, after=place_of(page.items[-1], query.sort))


def chosen_sort(params: Params, sorts: Sequence[tuple[str, Sort]]) -> Sort:
    """Return the order that `sort_by` names, the first by default (R-PAGE-10, -11)."""
    by_name = dict(sorts)
    name = params.text("sort_by")
    if name is None:
        return sorts[0][1]
    if name not in by_name:
        raise Invalid.parameter("sort_by", f"{name!r} is none of {', '.join(by_name)}")
    return by_name[name]
