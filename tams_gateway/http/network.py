"""Where a request comes from and under which URL it reached us: proxies, hosts, this machine.

The base URL is `public_url` where that is set; else it is put together from what the client
used: scheme, host, port and base path (B1, B29). `Forwarded` (RFC 7239) and `X-Forwarded-*` count
only from trusted proxies, and it is this module, not a server, that reads them, so that all
servers behave alike.
"""

import functools
import ipaddress
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

from tams_gateway.domain.errors import Invalid

_HOST = re.compile(r"(?P<name>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~!$&'()*+=:@%-]+)*/?")
_PAIR = re.compile(r'\s*([A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;\s]*))\s*(?:;|(,)|\Z)')

_LONGEST_HOST = 262
"""A name of 255 characters, a colon and a port."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """How a request arrived: the base URL, the host in it, and the client's address.

    `own` is the base URL where a page below it is surely ours: not where it is just a name that
    the client used, since anybody may let a name point to this machine.

    `local` tells whether the request is from this machine to this machine, by address and by name.
    The name counts since a page may let its own name point to this machine. The host of
    `public_url` is as good as a local one.
    """

    base: str
    host: str
    peer: str
    own: str = ""
    local: bool = False


class _Hop(msgspec.Struct, frozen=True):
    """What the outermost trusted proxy says of the request that it was sent."""

    peer: str
    scheme: str | None
    host: str | None
    prefix: str


class Network:
    """Tells how requests arrived; built once, from `public_url` and `trusted_proxies`."""

    def __init__(self, public_url: str | None, trusted_proxies: Sequence[str]) -> None:
        self._public_url = public_url
        self._trusted = [ipaddress.ip_network(one, strict=False) for one in trusted_proxies]
        # What short texts lead to is kept: most requests come by the same few.
        self._arrival = functools.lru_cache(maxsize=1024)(self._made)

    def arrival(
        self, scheme: str, host: str, root: str, peer: str, headers: Mapping[str, str]
    ) -> Arrival:
        """Return how a request arrived; `root` is the base path that the server knows of.

        Raises `Invalid` for a host, or a forwarded value of a trusted proxy, that is malformed.
        """
        if self._trusted and self._trusts(peer):
            hop = self._hop(peer, headers)
            peer, scheme, host = hop.peer, hop.scheme or scheme, hop.host or host
            root = hop.prefix + root
        if len(host) > _LONGEST_HOST:
            raise _malformed(host)
        return self._arrival(scheme, host, root, peer)

    def _made(self, scheme: str, host: str, root: str, peer: str) -> Arrival:
        name = _name(host)
        if not name:
            raise _malformed(host)
        from_here, to_here = is_loopback(peer), is_loopback(name)
        if self._public_url is not None:
            local = from_here and (to_here or name == urlsplit(self._public_url).hostname)
            return Arrival(self._public_url, host, peer, self._public_url, local)
        base = f"{scheme}://{host}{root}"
        sure = to_here or _address(name) is not None
        return Arrival(base, host, peer, base if sure else "", from_here and to_here)

    def _trusts(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._trusted)

    def _hop(self, peer: str, headers: Mapping[str, str]) -> _Hop:
        """Follow the proxies from ours to the first that is not trusted: that is the client."""
        elements = _elements(headers)
        first = elements[-1] if elements else {}
        for element in reversed(elements):
            first = element
            peer = _node(element.get("for", "")) or peer
            if not self._trusts(peer):
                break
        scheme, prefix = first.get("proto", "").lower(), headers.get("x-forwarded-prefix", "")
        if scheme not in ("", "http", "https"):
            raise Invalid(f"forwarded protocol: expected http or https, got {scheme!r}")
        if not _PREFIX.fullmatch(prefix):
            raise Invalid(f"X-Forwarded-Prefix: expected a path, got {prefix!r}")
        return _Hop(peer, scheme or None, first.get("host") or None, prefix.rstrip("/"))


@functools.lru_cache(maxsize=1024)
def is_loopback(name: str) -> bool:
    """Whether a host's name or address is this machine's own (`[::1]` without brackets)."""
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


@functools.lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@functools.lru_cache(maxsize=1024)
def _name(host: str) -> str:
    found = _HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else ""


def _malformed(host: str) -> Invalid:
    return Invalid(f"Host: expected a name or an address, got {host[:_LONGEST_HOST]!r}")


def _elements(headers: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what each proxy added, the one nearest to us last, with the names of RFC 7239."""
    if "forwarded" in headers:
        return _forwarded(headers["forwarded"])
    addresses = _list(headers.get("x-forwarded-for", ""))
    protocols = _list(headers.get("x-forwarded-proto", ""))
    hosts = _list(headers.get("x-forwarded-host", ""))
    port = headers.get("x-forwarded-port", "")
    elements = []
    for back in range(max(len(addresses), 1), 0, -1):
        host, scheme = _from_end(hosts, back), _from_end(protocols, back)
        if host and port.isdecimal() and not _HOST.sub(r"\g<port>", host).isdecimal():
            host += "" if port == {"http": "80", "https": "443"}.get(scheme) else f":{port}"
        elements.append({"for": _from_end(addresses, back), "proto": scheme, "host": host})
    return elements


def _forwarded(text: str) -> list[dict[str, str]]:
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            raise Invalid(f"Forwarded: expected pairs as for=192.0.2.1;proto=https, got {text!r}")
        value = pair[3] if pair[2] is None else re.sub(r"\\(.)", r"\1", pair[2])
        elements[-1][pair[1].lower()] = value
        at = pair.end()
        if pair[4]:
            elements.append({})
    return elements


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _from_end(items: list[str], back: int) -> str:
    """Return the item that many from the end; a shorter list tells of the outermost hop."""
    return items[-back] if back <= len(items) else items[0] if items else ""


def _node(text: str) -> str:
    """Return the address of a node such as `192.0.2.1:80` or `[2001:db8::1]:80`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
