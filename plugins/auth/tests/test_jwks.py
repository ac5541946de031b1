"""Where public keys come from: a real server of key sets that rotates, fails and misbehaves."""

import datetime
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tams_gateway_auth.jwks import FetchedKeys, FileKeys, HttpFetch
from tams_gateway_auth.key_sets import parse

from plugins.auth.tests.signing import KeyServer, Signer, key_set, serving, signer
from tams_gateway.config_file import ConfigError
from tams_gateway.storage.errors import StoreError
from tests.deployments import Deployment, config, in_process

LOG = structlog.get_logger("tests")
OLD, NEW = signer("ES256", "old"), signer("ES256", "new")


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with serving(key_set(OLD)) as served:
        yield served


class Fetched:
    """Keys from a server, on a clock that tests move."""

    def __init__(self, url: str, pause: float = 10) -> None:
        self.now = 100.0
        fetch = HttpFetch(url, None)
        self.keys = FetchedKeys(fetch, LOG, refresh=3600, pause=pause, elapsed=lambda: self.now)

    def ids(self, key_id: str | None = None) -> list[str | None]:
        return [key.id for key in self.keys.find(key_id)]


@pytest.fixture
def fetched(server: KeyServer) -> Iterator[Fetched]:
    fetched = Fetched(server.url)
    yield fetched
    fetched.keys.close()


def test_keys_are_fetched_once_and_not_for_each_request(
    server: KeyServer, fetched: Fetched
) -> None:
    for _ in range(5):
        assert fetched.ids("old") == ["old"]
        assert fetched.ids() == ["old"]
    assert server.fetches == 1
    assert fetched.keys.check().detail == "keys: 1"


def test_an_unknown_id_brings_one_fetch_and_no_more_for_a_while(
    server: KeyServer, fetched: Fetched
) -> None:
    server.document = key_set(NEW, OLD)
    assert fetched.ids("new") == ["new"]
    assert server.fetches == 2
    for unknown in "abcde":
        assert fetched.ids(unknown) == []
    fetched.now += 9.9
    assert fetched.ids("f") == []
    assert server.fetches == 2
    fetched.now += 0.1
    assert fetched.ids("g") == []
    assert server.fetches == 3


def test_many_unknown_ids_at_once_bring_one_fetch(server: KeyServer, fetched: Fetched) -> None:
    server.document = key_set(NEW)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(fetched.ids, ["new"] * 8)) == [["new"]] * 8
    assert server.fetches == 2


def test_no_more_than_a_few_requests_wait_for_a_fetch() -> None:
    """Those behind them get 503 at once: a server that hangs must not take all threads."""
    held, waiting = threading.Event(), threading.Semaphore(0)

    def fetch() -> bytes:
        if answers:
            return answers.pop()
        waiting.release()
        held.wait(30)
        return key_set(NEW)

    answers = [key_set(OLD)]
    keys = FetchedKeys(fetch, LOG, refresh=3600, pause=0)
    with ThreadPoolExecutor(8) as threads:
        first = [threads.submit(keys.find, "new") for _ in range(8)]
        waiting.acquire()
        while keys._waiting.acquire(blocking=False):
            keys._waiting.release()
        with pytest.raises(StoreError, match="many requests"):
            keys.find("new")
        assert [key.id for key in keys.find("old")] == ["old"]
        held.set()
        assert [key.id for one in first for key in one.result()] == ["new"] * 8
    keys.close()


def test_keys_that_are_gone_from_the_set_are_forgotten_in_the_background(server: KeyServer) -> None:
    keys = FetchedKeys(HttpFetch(server.url, None), LOG, refresh=0.01, pause=0.01)
    try:
        server.document = key_set(NEW)
        while [key.id for key in keys.find(None)] != ["new"]:
            threading.Event().wait(0.005)
    finally:
        keys.close()
    assert not keys._thread.is_alive()


BROKEN: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 404},
    {"status": 301, "headers": {"Location": "/elsewhere"}},
    {"status": 302, "headers": {"Location": "https://127.0.0.1/keys"}},
    {"document": b"<html>"},
    {"document": b'{"keys": []}'},
    {"document": b'{"keys": 1}'},
    {"document": b"[" * 5000},
    {"document": b""},
    {"document": b" " * (2**20 + 1)},
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda one: str(one)[:40])
def test_a_set_that_is_away_or_broken_changes_nothing(
    server: KeyServer, fetched: Fetched, broken: dict[str, Any]
) -> None:
    """The keys that were there hold; whether an unknown one is right cannot be told (503)."""
    for name, value in broken.items():
        setattr(server, name, value)
    with capture_logs() as logs, pytest.raises(StoreError):
        fetched.ids("new")
    assert [one["event"] for one in logs] == ["jwks_failed"]
    assert fetched.ids("old") == ["old"]
    assert fetched.keys.check().ok
    assert server.paths == ["/keys", "/keys"], "no redirect is followed"


def test_a_set_that_is_away_at_start_is_told_and_waited_for() -> None:
    with serving(b"") as server:
        server.status = 503
        with capture_logs() as logs:
            fetched = Fetched(server.url)
        assert logs[0]["event"] == "jwks_failed"
        assert logs[0]["log_level"] == "warning"
        assert not fetched.keys.check().ok
        for key_id in ("old", None):
            with pytest.raises(StoreError, match="answered 503"):
                fetched.ids(key_id)
        server.status, server.document = 200, key_set(OLD)
        fetched.now += 10
        assert fetched.ids("old") == ["old"]
        assert fetched.keys.check().ok
        fetched.keys.close()


JWKS = [signer(algorithm).jwk(key_ops=["verify"]) for algorithm in ("RS256", "ES256", "EdDSA")]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.lists(st.text(), max_size=1)
)


@given(st.data())
def test_one_odd_key_of_a_set_spoils_none_of_the_others(data: st.DataObject) -> None:
    key = dict(data.draw(st.sampled_from(JWKS)))
    changed = data.draw(st.sampled_from(sorted(key)))
    key[changed] = data.draw(VALUES | st.just(data.draw(st.sampled_from(JWKS)).get(changed)))
    if data.draw(st.booleans()):
        del key[data.draw(st.sampled_from(sorted(key)))]
    found = parse(msgspec.json.encode({"keys": [key, OLD.jwk()]}))
    assert found[-1].id == "old"
    assert len(found) <= 2


def test_a_port_that_nobody_listens_at_is_a_store_that_is_away() -> None:
    with serving(b"") as server:
        url = server.url
    with pytest.raises(StoreError, match="refused"):
        HttpFetch(url, None)()


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(FileNotFoundError):
        FileKeys(path, LOG)
    path.write_bytes(key_set(OLD))
    keys = FileKeys(path, LOG)
    assert [key.id for key in keys.find("old")] == ["old"]
    path.write_bytes(key_set(NEW, OLD))
    assert [key.id for key in keys.find("new")] == ["new"]
    for spoil in (lambda: path.write_text("half a ke"), path.unlink):
        spoil()
        with capture_logs() as logs:
            assert [key.id for key in keys.find("new")] == ["new"]
            assert [key.id for key in keys.find("old")] == ["old"]
        assert [one["event"] for one in logs] == ["jwks_failed"]
        assert not keys.check().ok
    path.write_bytes(key_set(OLD))
    assert keys.find("new") == []
    assert keys.check().ok


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private


def test_certificates_are_verified_by_the_bundle_of_the_config(tmp_path: Path) -> None:
    pem, private = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    with serving(key_set(OLD), lambda one: context.wrap_socket(one, server_side=True)) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(StoreError, match="CERTIFICATE_VERIFY_FAILED"):
            HttpFetch(url, None)()
        assert HttpFetch(url, str(pem))() == key_set(OLD)
    with pytest.raises(FileNotFoundError):
        HttpFetch(url, str(tmp_path / "missing.pem"))


def test_keys_rotate_while_requests_come(tmp_path: Path) -> None:
    """Each good token passes whichever key signed it, and no forged one does meanwhile."""
    ring = [signer("RS256", "a"), signer("ES256", "b"), signer("EdDSA", "c")]
    with serving(key_set(ring[0])) as server:
        auth = [{"plugin": "jwt", "jwks_url": server.url}]
        with in_process("asgi-memory", config("asgi-memory", tmp_path, {"auth": auth}), []) as at:
            at.assembly.opened["auth[0]"]._public._pause = 0
            stop = threading.Event()
            forged = [Signer("ES256", key_id).token() for key_id in ("b", "c")]
            with ThreadPoolExecutor(2) as threads:
                statuses = [threads.submit(asked_until, at, stop, token) for token in forged]
                try:
                    for number in range(9):
                        # The next key is published before it signs, the last while it holds.
                        current = ring[number % 3], ring[(number + 1) % 3]
                        server.document = key_set(*current)
                        for one in (*current, *current):
                            assert asked(at, one.token(sub=f"user-{number}")) == 200
                finally:
                    stop.set()
            assert [one.result() for one in statuses] == [{401}, {401}]
            assert server.fetches > 3


def asked(at: Deployment, token: str) -> int:
    return at.client.get("/flows", headers={"authorization": f"Bearer {token}"}).status


def asked_until(at: Deployment, stop: threading.Event, token: str) -> set[int]:
    """Ask again and again until the end, and return the statuses that came."""
    statuses = {asked(at, token)}
    while not stop.wait(0.002):
        statuses.add(asked(at, token))
    return statuses


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"jwks_file": "/nowhere/keys.json"}, "No such file"),
        ({"jwks_url": "file:///etc/passwd"}, "jwks_url: expected a URL"),
        ({"jwks_url": "https://user:changeme@a/"}, "jwks_url: expected a URL"),
        ({"jwks_url": "https:///keys"}, "jwks_url: expected a URL"),
        ({"jwks_url": "https://a", "jwks_file": "b"}, "jwks_file: expected only one"),
        ({"jwks_url": "https://a", "ca_bundle": "/nowhere/ca.pem"}, "No such file"),
        ({"secret": "secret"}, "secret: expected at least 32 bytes"),
        ({"secret": "changeme" * 8}, "secret: expected random text"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"realm": 'a"b'}, "realm"),
        ({"issue": {"lifetime": 0}}, "lifetime"),
    ],
)
def test_a_wrong_config_is_refused_at_start(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    settings = config("wsgi-memory", tmp_path, {"auth": [{"plugin": "jwt", **options}]})
    with (
        pytest.raises(ConfigError, match=reason) as raised,
        in_process("wsgi-memory", settings, []),
    ):
        pass
    assert "changeme" not in str(raised.value)
