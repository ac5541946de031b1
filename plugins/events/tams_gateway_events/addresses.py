"""Which addresses may be delivered to: public ones, and those that the operator allows (G-11)."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import TypeAlias

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Refused(Exception):
    """A receiver that may not be connected to; the message says why."""


class Guard:
    """Judges URLs when they are registered, and addresses when they are connected to.

    `networks` and `hosts` are allowed although they are not public; a host that is allowed may
    have any address. Raises ValueError for what is no network.
    """

    def __init__(self, networks: Iterable[str] = (), hosts: Iterable[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]
        self._hosts = {_plain(host) for host in hosts}

    def objection(self, url: str) -> str | None:
        """Say what is wrong with the form of a URL or its literal address; None: nothing.

        A host name is judged when it is connected to: what it stands for may change.
        """
        try:
            parsed = parse_url(url)
        except LocationParseError:
            return "expected a URL as https://example.com/events"
        return _bad_form(url, parsed) or self._bad_literal(_plain(parsed.host or ""))

    def _bad_literal(self, host: str) -> str | None:
        address = _literal(host)
        if address is None:
            return None
        try:
            self.check(host, str(address))
        except Refused as refused:
            return str(refused)
        return None

    def check(self, host: str, address: str) -> None:
        """Raise `Refused` unless this address of a host may be connected to."""
        if _plain(host) in self._hosts:
            return
        # A scope, as in fe80::1%eth0, says nothing about what kind of address it is.
        inner = _inner(ipaddress.ip_address(address.partition("%")[0]))
        if not _is_public(inner) and not any(inner in network for network in self._networks):
            # Not which one: makers of webhooks are not to learn what names stand for inside.
            raise Refused(
                f"{host} is at an address that is not public: the operator can allow it by "
                "allow_networks or allow_hosts"
            )


def _bad_form(url: str, parsed: Url) -> str | None:
    if parsed.scheme not in ("http", "https"):
        return "expected a URL that begins with http:// or https://"
    if not parsed.host:
        return "expected a URL with a host"
    if parsed.auth is not None:
        return "credentials in a URL are not sent: give them as api_key_name and api_key_value"
    if not url.isprintable() or " " in url or "\\" in url:
        return "expected a URL without blanks, backslashes and control characters"
    return None


def _literal(host: str) -> Address | None:
    """Return the address that a host is, also in the forms that only libraries read: 0x7f.1."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_public(address: Address) -> bool:
    odd = address.is_multicast or address.is_reserved or address.is_link_local
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not odd and not site_local


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
