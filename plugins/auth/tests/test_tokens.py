"""API tokens: what is kept of them, and where and until when they hold."""

import hashlib
import re
from typing import Any

import pytest
import structlog
from msgspec.structs import replace
from tams_gateway_auth import tokens
from tams_gateway_auth.tokens import API_TOKENS, ApiToken

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import DeniedError
from tams_gateway.storage.errors import ConflictError, FullError, StoreError

TOKEN = ApiToken("ingester", frozenset({Scope.WRITE}), frozenset({"news"}), (), 1_700_000_000)
PRINCIPAL = Principal("ingester", frozenset({Scope.WRITE}), frozenset({"news"}))


def found(desk: Any, text: str, peer: str = "10.1.2.3") -> Principal | None:
    """Return whom a token stands for, None where it is refused, which always says the same."""
    try:
        return tokens.find(desk.context, text, peer, "request-1")
    except DeniedError as error:
        if str(error) != "unknown or expired token":
            raise
        return None


def test_a_token_has_256_random_bits_and_is_kept_as_its_sha_256_alone(desk: Any) -> None:
    texts = {tokens.create(desk.context, TOKEN) for _ in range(3)}
    assert len(texts) == 3
    for text in texts:
        assert re.fullmatch(r"tams_[A-Za-z0-9_-]{43}", text)
        id_ = hashlib.sha256(text.encode()).hexdigest()
        record = desk.metadata.get(API_TOKENS, [id_])[id_]
        assert text.encode() not in record.body
        assert found(desk, text) == PRINCIPAL


@pytest.mark.parametrize("text", ["", "tams_", "nonsense", "\ud800", "a" * 100_000])
def test_what_was_never_a_token_is_refused(desk: Any, text: str) -> None:
    tokens.create(desk.context, TOKEN)
    assert found(desk, text) is None


def test_each_change_of_the_text_is_another_token(desk: Any) -> None:
    text = tokens.create(desk.context, TOKEN)
    for other in (text[:-1], f"{text}a", text.swapcase(), f" {text}"):
        assert found(desk, other) is None


def test_a_token_holds_until_it_expires(desk: Any) -> None:
    text = tokens.create(desk.context, replace(TOKEN, expires=1_700_000_060))
    desk.offset = 59.9
    assert found(desk, text) == PRINCIPAL
    desk.offset = 60
    assert found(desk, text) is None
    assert desk.noted[-1].detail == "API token: expired"


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        ("10.1.255.255", True),
        ("10.2.0.0", False),
        ("::ffff:10.1.0.1", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_a_token_holds_from_its_networks_alone(desk: Any, peer: str, allowed: bool) -> None:
    networks = ("10.1.2.3/16", "2001:db8::/32")
    text = tokens.create(desk.context, replace(TOKEN, networks=networks))
    assert found(desk, text, peer) == (PRINCIPAL if allowed else None)


def test_a_revoked_token_holds_no_more(desk: Any) -> None:
    text = tokens.create(desk.context, TOKEN)
    ((id_, token),) = tokens.every(desk.context)
    tokens.revoke(desk.context, id_, token)
    assert found(desk, text) is None
    assert desk.actions == ["token_created", "token_revoked", "failure"]
    assert desk.noted[0].detail == desk.noted[1].detail == id_[:12]
    assert (desk.noted[2].peer, desk.noted[2].request_id) == ("10.1.2.3", "request-1")
    assert text not in repr(desk.noted)


def test_the_last_use_is_written_at_most_once_a_minute(desk: Any) -> None:
    text = tokens.create(desk.context, TOKEN)
    seen = []
    for desk.offset in (0, 59, 60, 100):
        found(desk, text)
        ((id_, token),) = tokens.every(desk.context)
        seen.append(token.used)
        version = desk.metadata.get(API_TOKENS, [id_])[id_].version
        found(desk, text)
        assert desk.metadata.get(API_TOKENS, [id_])[id_].version == version
    assert seen == [1_700_000_000, 1_700_000_000, 1_700_000_060, 1_700_000_060]


@pytest.mark.parametrize(
    ("error", "logged"),
    [(ConflictError("faster"), []), (FullError("no room left"), ["last_use_not_kept"])],
)
def test_a_last_use_that_cannot_be_written_hinders_nobody(
    desk: Any, monkeypatch: pytest.MonkeyPatch, error: StoreError, logged: list[str]
) -> None:
    text = tokens.create(desk.context, TOKEN)

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(desk.metadata, "apply", fail)
    with structlog.testing.capture_logs() as lines:
        assert found(desk, text) == PRINCIPAL
    assert [line["event"] for line in lines] == logged
    assert text not in repr(lines)


def test_a_use_does_not_bring_back_a_token_that_was_revoked_meanwhile(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tokens.create(desk.context, TOKEN)
    get = desk.metadata.get

    def slow(*arguments: Any) -> Any:
        record = get(*arguments)
        tokens.revoke(desk.context, *next(tokens.every(desk.context)))
        return record

    with monkeypatch.context() as patch:
        patch.setattr(desk.metadata, "get", slow)
        found(desk, text)
    assert found(desk, text) is None
