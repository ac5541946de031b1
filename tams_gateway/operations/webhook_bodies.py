"""Bodies of webhooks: their form, and what a URL and a header may be (R-WHK-02 to -09, -18)."""

import re
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from tams_gateway.domain.body import Body
from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.identifiers import Uuid
from tams_gateway.domain.tags import Tags
from tams_gateway.events.event import EventType

_Url: TypeAlias = Annotated[str, msgspec.Meta(max_length=2000)]
"""Page keys and links carry it, so its length is bounded."""

_Ids: TypeAlias = Annotated[tuple[Uuid, ...], msgspec.Meta(max_length=1000)]
"""Every event is compared with them, so their number is bounded."""

_SomeIds: TypeAlias = Annotated[tuple[Uuid, ...], msgspec.Meta(min_length=1, max_length=1000)]


class Sent(msgspec.Struct, kw_only=True, frozen=True):
    """The body of POST, with the members that PUT shares."""

    url: _Url
    events: Annotated[tuple[EventType, ...], msgspec.Meta(max_length=100)]
    status: Literal["created", "disabled"] = "created"
    api_key_name: Annotated[str, msgspec.Meta(max_length=256)] | UnsetType = UNSET
    api_key_value: Annotated[str, msgspec.Meta(max_length=8192)] | UnsetType = UNSET
    flow_ids: _SomeIds | UnsetType = UNSET
    source_ids: _SomeIds | UnsetType = UNSET
    flow_collected_by_ids: _Ids | UnsetType = UNSET
    source_collected_by_ids: _Ids | UnsetType = UNSET
    accept_get_urls: Annotated[tuple[str, ...], msgspec.Meta(max_length=100)] | UnsetType = UNSET
    accept_storage_ids: _Ids | UnsetType = UNSET
    presigned: bool | UnsetType = UNSET
    verbose_storage: bool | UnsetType = UNSET
    include_object_timerange: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class _Replacement(Sent, kw_only=True, frozen=True):
    """The body of PUT: here the status is required."""

    id: Uuid
    status: Literal["created", "disabled"]


_posted = Body(Sent)
_put = Body(_Replacement)


def parse_post(body: bytes) -> Sent:
    """Read the body of POST /service/webhooks; raises `Invalid`."""
    return _checked(_posted.decode(body))


def parse_put(body: bytes, webhook_id: str) -> Sent:
    """Read the body of PUT /service/webhooks/{webhookId}; raises `Invalid`."""
    sent = _put.decode(body)
    if sent.id != webhook_id:
        raise Invalid.at("/id", f"is {sent.id}, but the path names {webhook_id}")
    return _checked(sent)


def _checked(sent: Sent) -> Sent:
    _check_url(sent.url)
    if not isinstance(sent.api_key_name, UnsetType):
        _check_name(sent.api_key_name)
    if not isinstance(sent.api_key_value, UnsetType) and not _is_value(sent.api_key_value):
        raise Invalid.at(
            "/api_key_value", "a header holds printable ASCII, without spaces at its ends"
        )
    return sent


_are_url_characters = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+").fullmatch
_is_authority = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?").fullmatch


def _check_url(url: str) -> None:
    """Refuse what is no http(s) URL with a host; a user in it would be no secret (R-WHK-03)."""
    if not _are_url_characters(url):
        raise Invalid.at("/url", "has characters that a URL writes percent-encoded, or is empty")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid.at("/url", f"is no URL ({error})") from error
    if parts.scheme not in ("http", "https"):
        raise Invalid.at("/url", "expected a URL that begins with http:// or https://")
    if "@" in parts.netloc:
        raise Invalid.at("/url", "names a user; send credentials as api_key_name and _value")
    if not _is_authority(parts.netloc) or port == 0:
        raise Invalid.at("/url", "expected a host and perhaps a port behind //")


_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_value = re.compile(r"|[!-~]([ -~]*[!-~])?").fullmatch

_OTHERS: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("host", "content-length", "content-type", "content-encoding", "user-agent"),
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
    }
)
"""The fields of a delivery that are the connection's or the gateway's."""


def _check_name(name: str) -> None:
    """Refuse what is no name of a header, or of one that is not the client's (R-WHK-22)."""
    if not _is_token(name):
        raise Invalid.at("/api_key_name", "expected the name of an HTTP header")
    if name.lower() in _OTHERS:
        raise Invalid.at("/api_key_name", f"{name} is set by the gateway itself")
