"""Base URL and peer, whoever stands between (B1, B29)."""

from collections.abc import Mapping

import pytest

from tams_gateway.domain.errors import Invalid
from tams_gateway.http.network import Arrival, Network

PROXY, CLIENT = "10.0.0.1", "192.0.2.7"


def arrival(
    headers: Mapping[str, str],
    *,
    peer: str = PROXY,
    host: str = "inside:4010",
    root: str = "",
    public_url: str | None = None,
) -> Arrival:
    return Network(public_url, ["10.0.0.0/8"]).arrival("http", host, root, peer, headers)


def test_without_a_proxy_the_base_is_what_the_client_used() -> None:
    assert Arrival("http://host:1/api", "host:1", CLIENT) == arrival(
        {}, peer=CLIENT, host="host:1", root="/api"
    )


@pytest.mark.parametrize(
    ("host", "public_url", "own"),
    [
        ("tams.example:4010", None, ""),
        ("localhost:4010", None, "http://localhost:4010"),
        ("192.0.2.1:4010", None, "http://192.0.2.1:4010"),
        ("[2001:db8::1]", None, "http://[2001:db8::1]"),
        ("tams.example", "https://tams.example/v8", "https://tams.example/v8"),
    ],
)
def test_a_page_is_ours_only_below_a_name_that_nobody_else_can_give_us(
    host: str, public_url: str | None, own: str
) -> None:
    """Whoever lets a name of his own point to this machine serves pages under that name, too."""
    assert own == arrival({}, peer=CLIENT, host=host, public_url=public_url).own


def test_a_host_of_any_length_is_refused_unread() -> None:
    with pytest.raises(Invalid, match="Host: "):
        arrival({}, host="a" * 300)


def test_a_public_url_is_the_base_of_everything() -> None:
    found = arrival({"x-forwarded-host": "other"}, public_url="https://tams.example/v8")
    assert "https://tams.example/v8" == found.base


@pytest.mark.parametrize(
    ("headers", "base", "peer"),
    [
        ({"x-forwarded-proto": "https"}, "https://inside:4010", PROXY),
        ({"x-forwarded-host": "tams.example"}, "http://tams.example", PROXY),
        ({"x-forwarded-host": "a", "x-forwarded-port": "8443"}, "http://a:8443", PROXY),
        ({"x-forwarded-host": "a:1", "x-forwarded-port": "2"}, "http://a:1", PROXY),
        (
            {"x-forwarded-host": "a", "x-forwarded-port": "443", "x-forwarded-proto": "https"},
            "https://a",
            PROXY,
        ),
        ({"x-forwarded-prefix": "/tams/"}, "http://inside:4010/tams", PROXY),
        ({"x-forwarded-for": CLIENT}, "http://inside:4010", CLIENT),
        ({"x-forwarded-for": f"6.6.6.6, {CLIENT}, 10.0.0.2"}, "http://inside:4010", CLIENT),
        ({"x-forwarded-for": "2001:db8::1"}, "http://inside:4010", "2001:db8::1"),
        ({"forwarded": f"for={CLIENT};proto=https;host=a"}, "https://a", CLIENT),
        ({"forwarded": f'For="{CLIENT}:99" ; Host="a:1"'}, "http://a:1", CLIENT),
        ({"forwarded": 'for="[2001:db8::1]:99"'}, "http://inside:4010", "2001:db8::1"),
        (
            {"forwarded": f"for=6.6.6.6;host=evil, for={CLIENT};host=a, for=10.0.0.2;host=b"},
            "http://a",
            CLIENT,
        ),
    ],
)
def test_trusted_proxies_tell_how_the_client_came(
    headers: dict[str, str], base: str, peer: str
) -> None:
    found = arrival(headers)

    assert (base, peer) == (found.base, found.peer)


def test_strangers_tell_nothing() -> None:
    headers = {"x-forwarded-for": "127.0.0.1", "x-forwarded-host": "a", "forwarded": "host=b"}

    assert arrival({}, peer=CLIENT) == arrival(headers, peer=CLIENT)


def test_mapped_addresses_are_those_that_they_map() -> None:
    assert "http://a" == arrival({"x-forwarded-host": "a"}, peer="::ffff:10.0.0.1").base


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a@b", "a,b", "a\r\nb", "a:b", "[::1", "é"])
def test_malformed_hosts_are_refused(host: str) -> None:
    with pytest.raises(Invalid, match="Host"):
        arrival({}, peer=CLIENT, host=host)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-host": "a b"},
        {"x-forwarded-proto": "ftp"},
        {"x-forwarded-prefix": "no-slash"},
        {"x-forwarded-prefix": "/a//b?"},
        {"forwarded": "for"},
        {"forwarded": 'host="a'},
    ],
)
def test_malformed_words_of_a_trusted_proxy_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        arrival(headers)


@pytest.mark.parametrize(
    ("host", "peer", "local"),
    [
        ("localhost", "127.0.0.1", True),
        ("localhost:4010", "::1", True),
        ("127.0.0.1:4010", "127.0.0.1", True),
        ("[::1]:4010", "::1", True),
        ("LOCALHOST", "::ffff:127.0.0.1", True),
        ("tams.example", "127.0.0.1", True),
        ("rebound.example", "127.0.0.1", False),
        ("localhost.example", "127.0.0.1", False),
        ("localhost", CLIENT, False),
        ("tams.example", CLIENT, False),
        ("localhost", "", False),
    ],
)
def test_a_request_is_local_by_its_address_and_by_its_name(
    host: str, peer: str, local: bool
) -> None:
    network = Network("https://tams.example/v8", [])

    assert local is network.arrival("http", host, "", peer, {}).local
