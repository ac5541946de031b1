"""Pages of listings: limits, opaque keys, Link headers (R-PAGE-01 to -09)."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Annotated, TypeVar
from urllib.parse import quote

import msgspec

from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.timerange import MAX_NS, MIN_NS
from tams_gateway.operations.gateway import Limits
from tams_gateway.operations.messages import Request
from tams_gateway.operations.params import Params
from tams_gateway.storage.query import After, Sort
from tams_gateway.storage.records import FieldType, Kind, Record

T = TypeVar("T")

_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")


class Paging(msgspec.Struct, frozen=True):
    """What a request asks of a listing: how many items, and which page."""

    limit: int
    key: str | None

    @classmethod
    def of(cls, params: Params, limits: Limits) -> "Paging":
        """Read `limit`, lowered to the maximum (R-PAGE-01, B14), and `page`."""
        asked = params.integer("limit", 1)
        limit = limits.page_default if asked is None else min(asked, limits.page_max)
        return cls(limit, params.text("page"))

    def decode(self, shape: type[T]) -> T | None:
        """Return the place that the page key names, None on the first page (R-PAGE-05)."""
        if self.key is None:
            return None
        try:
            raw = urlsafe_b64decode(self.key + "=" * (-len(self.key) % 4))
            return msgspec.json.decode(raw, type=shape)
        except (ValueError, msgspec.MsgspecError) as error:
            raise Invalid.parameter("page", "this is no page key of this listing") from error

    def after(self, kind: Kind, sort: Sort | None) -> After | None:
        """Return where a listing of records goes on; the key fits its sort order only."""
        place = self.decode(_Place)
        if place is None:
            return None
        field = sort.field if sort else ""
        fits = place.field == field
        if sort is not None and place.value is not None:
            is_text = kind.type_of(sort.field) is FieldType.TEXT
            fits = fits and isinstance(place.value, str) == is_text
        elif sort is None:
            fits = fits and place.value is None
        if not fits:
            raise Invalid.parameter("page", "the page key belongs to another sort order")
        return After(place.value, place.id)


class SegmentPlace(msgspec.Struct, array_like=True):
    """The place in a flow behind a segment, by the end of its span."""

    end_ns: Annotated[int, msgspec.Meta(ge=MIN_NS, le=MAX_NS)]


class _Place(msgspec.Struct, array_like=True):
    field: str
    value: Annotated[int, msgspec.Meta(ge=MIN_NS, le=MAX_NS)] | str | None
    id: str


def encode_key(place: object) -> str:
    """Return a page key: letters, digits, `-` and `_` only, so that it needs no quoting (B13)."""
    return urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def record_key(record: Record, sort: Sort | None) -> str:
    """Return the key of the page behind a record."""
    place = place_of(record, sort)
    return encode_key(_Place(sort.field if sort else "", place.value, place.id))


def place_of(record: Record, sort: Sort | None) -> After:
    """Return the place of a record in a listing."""
    value = record.fields.get(sort.field) if sort else None
    assert value is None or isinstance(value, int | str)
    return After(value, record.id)


def next_link(request: Request, params: Params, key: str) -> str:
    """Return the `Link` of the next page: the same query, absolute, without a raw `,` or `;`.

    The URL token of the request is not repeated (G-05, R-AUTH-03).
    """
    kept = [pair for pair in params.pairs if pair[0] not in ("page", "access_token")]
    query = "".join([f"{_quoted(name)}={_quoted(value)}&" for name, value in kept])
    return f'<{request.base}{request.url_path}?{query}page={key}>; rel="next"'


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")


def page_headers(
    request: Request,
    params: Params,
    limit: int,
    next_key: str | None,
    more: Mapping[str, str] = {},
) -> dict[str, str]:
    """Return the paging headers; the last page has neither link nor key (R-PAGE-03)."""
    headers = {"X-Paging-Limit": str(limit), **more}
    if next_key is not None:
        headers["Link"] = next_link(request, params, next_key)
        headers["X-Paging-NextKey"] = next_key
    return headers


def order_headers(count: int, reverse: bool) -> dict[str, str]:
    """Return the headers of sorted listings: items of this page, and the order (R-PAGE-07)."""
    return {
        "X-Paging-Count": str(count),
        "X-Paging-Reverse-Order": "true" if reverse else "false",
    }
