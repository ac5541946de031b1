"""Which receivers may be registered, and which addresses may be connected to (G-11)."""

import socket
from typing import Any

import pytest
from tams_gateway_events.addresses import Guard
from tams_gateway_events.http import Client

from .receiver import Receiver

REFUSED = """
127.0.0.1 127.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 0 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1
169.254.169.254 2852039166 100.64.0.1 192.0.2.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255
[::1] [::] [::ffff:127.0.0.1] [::ffff:a9fe:a9fe] [::127.0.0.1] [fe80::1] [fe80::1%25eth0] [fc00::1]
[fd00:ec2::254] [fec0::1] [ff02::1] [2001:db8::1] [2002:7f00:1::] [64:ff9b::7f00:1]
"""


@pytest.mark.parametrize("host", REFUSED.split())
def test_an_address_that_is_not_public_is_refused(host: str) -> None:
    for url in (f"http://{host}/", f"https://{host}:8443/hook?x=1"):
        assert "not public" in (Guard().objection(url) or "")


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/",
        "https://[2606:4700::1111]/x",
        "https://example.com/hook?key=1",
        "http://localhost/judged-later",
        "http://no-such-host.invalid/",
        "HTTP://EXAMPLE.COM:8080",
    ],
)
def test_a_public_address_and_any_name_may_be_registered(url: str) -> None:
    assert Guard().objection(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///hook",
        "http://example.com:99999/",
        "http://user:secret@example.com/",
        "http://a\\@127.0.0.1/",
        "http://example.com/a b",
        "http://example.com/\r\nX-Key: 1",
        "http://exa mple.com/",
    ],
)
def test_a_malformed_url_is_refused(url: str) -> None:
    """R-WHK-03."""
    assert Guard().objection(url)


def test_the_operator_allows_networks_and_hosts() -> None:
    guard = Guard(["10.0.0.0/8", "fd00::/8"], ["receiver.internal", "192.168.7.7"])
    for host in ("10.1.2.3", "[::ffff:10.1.2.3]", "[fd00::7]", "192.168.7.7"):
        assert guard.objection(f"http://{host}/") is None
    assert guard.objection("http://192.168.7.8/")
    guard.check("Receiver.Internal.", "127.0.0.1")


class Names:
    """Stands in for the resolver: gives the addresses of a name in turn, the last for ever."""

    def __init__(self, port: int, *answers: list[str]) -> None:
        self.asked: list[str] = []
        self._port = port
        self._answers = list(answers)

    def __call__(self, host: str, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*stream, (address, self._port)) for address in found]


@pytest.fixture
def receiver() -> Any:
    with Receiver() as receiver:
        yield receiver


def post(guard: Guard, url: str) -> Any:
    client = Client(guard, timeout=0.5, per_receiver=1)
    try:
        return client.post(url, {"Content-Type": "application/json"}, b"{}")
    finally:
        client.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_nothing_is_sent_to_an_address_that_is_not_public(receiver: Receiver, host: str) -> None:
    answer = post(Guard(), f"http://{host}:{receiver.port}/")
    assert "not public" in answer.error
    assert "127.0.0.1:" not in answer.error
    assert not receiver.met


def test_a_name_that_has_one_address_inside_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(receiver.port, ["8.8.8.8", "127.0.0.1"]))
    assert "not public" in post(Guard(), "http://public.example/").error
    assert not receiver.met


def test_the_address_that_was_judged_is_the_one_that_is_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a name that is harmless when judged, and not when used."""
    names = Names(receiver.port, ["192.0.2.1"], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    client = Client(Guard(["192.0.2.0/24"]), timeout=0.3, per_receiver=1)

    first = client.post("http://rebound.example/", {}, b"{}")
    second = client.post("http://rebound.example/", {}, b"{}")
    client.close()

    assert first.status is None
    assert "not public" not in first.error
    assert names.asked == ["rebound.example"] * 2
    assert "not public" in second.error
    assert not receiver.met


def test_an_allowed_host_may_have_any_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names(receiver.port, ["127.0.0.1"]))
    answer = post(Guard((), ["receiver.internal"]), "http://receiver.internal/x")
    assert answer.ok
    [met] = receiver.met
    assert met.headers["host"] == "receiver.internal"
