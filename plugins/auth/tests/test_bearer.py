"""Whom bearer tokens are for, and which are nobody's."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from tams_gateway_auth.bearer import Bearer, Settings, Verified
from tams_gateway_auth.shared_secret import key_of

from plugins.auth.tests.signing import Signer, World, key_set, signer, valid
from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import Credentials, DeniedError
from tams_gateway.plugin import Secret

SECRET = "oDq3bV9yJx7TzKpL2mWn8RfGhC5sAeUu-64-bytes-and-more-for-HS512-0f9Xq"
ASYMMETRIC = ("RS256", "ES256", "ES384", "ES512", "EdDSA")


def credentials(token: str) -> Credentials:
    return Credentials(f"Bearer {token}", None, {}, "192.0.2.1", "id")


@pytest.fixture(scope="module")
def jwks_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_bytes(key_set(*map(signer, ASYMMETRIC)))
    return str(path)


@pytest.fixture(scope="module")
def bearer(jwks_file: str) -> Bearer:
    """A provider that has a shared secret and a key of each type."""
    return opened(secret=Secret(SECRET), jwks_file=jwks_file)


def opened(**options: Any) -> Bearer:
    return Bearer(Settings(**options), World().context)


def denied(bearer: Bearer, token: str, reason: str = "token", guess: bool | None = None) -> None:
    with pytest.raises(DeniedError, match=reason) as raised:
        bearer.authenticate(credentials(token))
    assert token not in str(raised.value)
    assert guess in (None, raised.value.guess)


@pytest.mark.parametrize("algorithm", [*ASYMMETRIC, "RS512", "PS256", "PS384"])
def test_a_token_of_each_type_of_key_authenticates(bearer: Bearer, algorithm: str) -> None:
    key = signer(algorithm if algorithm in ASYMMETRIC else "RS256")
    token = key.token(algorithm, scope="openid tams-api/read tams-api/write")
    expected = Principal("alice", frozenset({Scope.READ, Scope.WRITE}))
    assert bearer.authenticate(credentials(token)) == expected
    assert bearer.authenticate(credentials(key.token(algorithm, kid=False))) is not None


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_of_the_shared_secret_authenticates(bearer: Bearer, algorithm: str) -> None:
    token = jwt.encode(valid(), SECRET, algorithm)
    assert bearer.authenticate(credentials(token)) == Principal("alice", frozenset({Scope.READ}))
    denied(bearer, jwt.encode(valid(), SECRET + "x", algorithm), "no known key")


def test_what_is_no_bearer_token_is_left_to_other_providers(bearer: Bearer) -> None:
    for header in (None, "", "Basic YTpi", "Bearerx y", "Digest a.b.c"):
        assert bearer.authenticate(Credentials(header, "a.b.c", {}, "")) is None


@pytest.mark.parametrize(
    ("claims", "principal"),
    [
        ({"scope": "tams-api/read  tams-api/delete x"}, ("alice", {Scope.READ, Scope.DELETE}, ())),
        ({"scope": ["tams-api/admin", 7, "x"]}, ("alice", {Scope.ADMIN}, ())),
        ({"scope": None, "scp": ["tams-api/read"]}, ("alice", {Scope.READ}, ())),
        ({"scope": "x", "scp": "tams-api/read"}, ("alice", (), ())),
        ({"scope": None}, ("alice", (), ())),
        ({"scope": {"tams-api/read": 1}}, ("alice", (), ())),
        ({"scope": "TAMS-API/READ tams-api/reader"}, ("alice", (), ())),
        (
            {"cognito:groups": ["news", "sport"], "groups": ["no"]},
            ("alice", {Scope.READ}, ("news", "sport")),
        ),
        ({"groups": "news sport"}, ("alice", {Scope.READ}, ("news", "sport"))),
        ({"username": "bob"}, ("bob", {Scope.READ}, ())),
        ({"sub": None, "client_id": "mediaconvert"}, ("mediaconvert", {Scope.READ}, ())),
    ],
)
def test_claims_say_who_and_what(
    bearer: Bearer, claims: dict[str, Any], principal: tuple[str, Any, Any]
) -> None:
    """B22: with the names that Cognito and others use."""
    name, scopes, groups = principal
    found = bearer.authenticate(credentials(signer("ES256").token(**claims)))
    assert found == Principal(name, frozenset(scopes), frozenset(groups))


def test_the_names_of_claims_can_be_set(jwks_file: str) -> None:
    bearer = opened(
        jwks_file=jwks_file,
        name_claims=("email",),
        scope_claims=("roles",),
        group_claims=("teams",),
    )
    token = signer("ES256").token(email="a@b.example", roles=["tams-api/write"], teams=["news"])
    found = bearer.authenticate(credentials(token))
    assert found == Principal("a@b.example", frozenset({Scope.WRITE}), frozenset({"news"}))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": None}, "lacks a claim"),
        ({"exp": "never"}, "malformed"),
        ({"nbf": int(time.time()) + 600}, "not valid yet"),
        ({"iat": int(time.time()) + 600}, "not valid yet"),
        ({"sub": None}, "none of the claims"),
        ({"sub": ""}, "none of the claims"),
        ({"sub": 7}, "none of the claims"),
        ({"sub": ["alice"]}, "none of the claims"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(
    bearer: Bearer, claims: dict[str, Any], reason: str
) -> None:
    """What was signed is no guess, which matters to who counts failures; a forged one may be."""
    denied(bearer, signer("ES256").token(**claims), reason, guess=reason == "malformed")
    denied(bearer, Signer("ES256", "ES256").token(**claims), "no known key", guess=True)


def test_clocks_may_differ_by_the_leeway(jwks_file: str) -> None:
    token = signer("ES256").token(exp=int(time.time()) - 15)
    assert opened(jwks_file=jwks_file).authenticate(credentials(token)) is not None
    denied(opened(jwks_file=jwks_file, leeway=5), token, "expired")


def test_issuer_and_audience_are_looked_at_where_they_are_set(jwks_file: str) -> None:
    """A token of another issuer may be one of the next provider."""
    key, ours = signer("ES256"), {"iss": "https://id.example", "aud": ["tams", "other"]}
    anyone = opened(jwks_file=jwks_file)
    strict = opened(jwks_file=jwks_file, issuer="https://id.example", audience="tams")
    for bearer in (anyone, strict):
        assert bearer.authenticate(credentials(key.token(**ours))) is not None
    assert anyone.authenticate(credentials(key.token())) is not None
    denied(strict, key.token(**{**ours, "aud": "other"}), "another audience")
    denied(strict, key.token(**{**ours, "aud": None}), "lacks a claim")
    for issuer in ("https://id.example/", "", None):
        assert strict.authenticate(credentials(key.token(**{**ours, "iss": issuer}))) is None


def test_no_algorithm_is_confused_with_another(bearer: Bearer) -> None:
    """A public key is no shared secret, and a key verifies just what its type and `alg` say."""
    key = signer("RS256")
    public = key.private.public_key()
    encodings, format_ = serialization.Encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    texts = [public.public_bytes(one, format_) for one in (encodings.PEM, encodings.DER)]
    for text in [*texts, json.dumps(key.jwk()).encode(), key.jwk()["n"].encode()]:
        for algorithm in ("HS256", "HS512"):
            denied(bearer, signed_by_hmac(text, algorithm, key.id), "no known key")
    for algorithm, kid in (("ES256", "RS256"), ("RS256", "ES256"), ("EdDSA", "ES256")):
        other = Signer(algorithm, kid)
        denied(bearer, other.token(), "no known key")


def signed_by_hmac(key: bytes, algorithm: str, kid: str) -> str:
    """Sign as an attacker would; PyJWT refuses to do so with what looks like a public key."""
    handler = jwt.get_algorithm_by_name(algorithm)
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": algorithm, "kid": kid, "typ": "JWT"}, valid(scope="tams-api/admin"))
    ]
    signed = b".".join(parts)
    signature = base64.urlsafe_b64encode(handler.sign(signed, key)).rstrip(b"=")
    return (signed + b"." + signature).decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "hs256", "HS1", None, 5])
def test_a_token_without_a_signature_is_refused(bearer: Bearer, algorithm: object) -> None:
    header, payload = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": algorithm, "typ": "JWT"}, valid())
    )
    for signature in ("", "AAAA"):
        denied(bearer, f"{header}.{payload}.{signature}")


def test_a_key_that_the_token_itself_brings_is_not_looked_at(bearer: Bearer) -> None:
    attacker = Signer("ES256", "ES256")
    for header in ({"jwk": attacker.jwk()}, {"jku": "http://127.0.0.1:1/"}, {"x5c": ["MII="]}):
        headers = {"kid": "ES256", **header}
        denied(bearer, jwt.encode(valid(), attacker.private, "ES256", headers), "no known key")


def test_a_key_set_has_what_can_verify_and_nothing_else(tmp_path: Path) -> None:
    """Keys for encryption, shared secrets, short ones and unknown types are passed over."""
    good, encrypting, pss = signer("ES256"), signer("ES384"), signer("RS256")
    short = Signer("RS256", "short", lambda: rsa.generate_private_key(65537, 1024))
    shared = {
        "kty": "oct",
        "kid": "shared",
        "k": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    }
    path = tmp_path / "keys.json"
    keys = [
        encrypting.jwk(use="enc"),
        short.jwk(),
        shared,
        pss.jwk(alg="PS256"),
        {"kty": "ML-DSA", "kid": "later"},
        {"kty": "EC", "crv": "P-256", "x": "?"},
        {"kid": "nothing"},
        good.jwk(use=None, key_ops=["verify"]),
    ]
    path.write_text(json.dumps({"keys": keys, "more": True}))
    bearer = opened(jwks_file=str(path))
    assert bearer.authenticate(credentials(good.token())) is not None
    assert bearer.authenticate(credentials(pss.token("PS256"))) is not None
    headers = {"kid": "shared"}
    hmac = jwt.encode(valid(), SECRET, "HS256", headers)
    for token in (encrypting.token(), pss.token("RS256"), hmac, weak(short)):
        denied(bearer, token, "no known key")


def weak(short: Signer) -> str:
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        return short.token()


def test_algorithms_can_be_narrowed(jwks_file: str) -> None:
    bearer = opened(jwks_file=jwks_file, secret=Secret(SECRET), algorithms=("ES256", "HS512"))
    for token in (signer("ES256").token(), jwt.encode(valid(), SECRET, "HS512")):
        assert bearer.authenticate(credentials(token)) is not None
    for token in (signer("RS256").token(), jwt.encode(valid(), SECRET, "HS256")):
        denied(bearer, token, "not accepted")


TOKENS = [signer("ES256").token(), signer("EdDSA").token(), jwt.encode(valid(), SECRET, "HS256")]
NOISE = st.text("abcXYZ019-_=. +/\n\0é\ud800", min_size=1, max_size=3)


@given(token=st.sampled_from(TOKENS), data=st.data())
def test_a_changed_token_never_authenticates(
    bearer: Bearer, token: str, data: st.DataObject
) -> None:
    """Whatever is replaced, removed, put in or exchanged between two good ones."""
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, min(len(token), start + 2)))
    changed = token[:start] + data.draw(st.just("") | NOISE) + token[end:]
    other = data.draw(st.sampled_from(TOKENS))
    parts = zip(changed.split("."), other.split("."), strict=False)
    mixed = ".".join(data.draw(st.sampled_from(pair)) for pair in parts)
    for text in {changed.strip(), mixed} - set(TOKENS):
        denied(bearer, text)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=10))
def test_garbage_is_refused_and_no_fault_of_ours(
    bearer: Bearer, header: bytes, payload: bytes, signature: bytes
) -> None:
    parts = (
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (header, payload, signature)
    )
    denied(bearer, ".".join(parts))
    denied(bearer, ".".join(part.decode("latin-1") for part in (header, payload, signature)))


@pytest.mark.parametrize("payload", ["[" * 9000, '{"a":' * 1800, "[1]", '"text"', "1e999", "NaN"])
def test_odd_json_in_a_token_is_refused(bearer: Bearer, payload: str) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"ES256"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")
    denied(bearer, f"{header}.{body}.AAAA", "malformed")


def test_an_endless_token_is_refused(bearer: Bearer) -> None:
    denied(bearer, signer("ES256").token(more="x" * 20_000), "longer than")


@pytest.mark.parametrize(
    "secret",
    [
        "secret",
        "changeme",
        "",
        "x" * 31,
        "a" * 64,
        "0123456789" * 4,
        "your-256-bit-secret-your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "changemechangemechangemechangemechangeme",
        "Please, change this secret in production!",
    ],
)
def test_a_secret_that_is_short_or_known_is_refused_at_start(secret: str) -> None:
    with pytest.raises(ValueError, match=r"^secret: expected"):
        Settings(secret=Secret(secret))


def test_the_length_of_a_secret_says_for_which_algorithms_it_is() -> None:
    """RFC 7518: as long as the digest, so that the secret is not the weaker one."""
    lengths = {32: {"HS256"}, 48: {"HS256", "HS384"}, 64: {"HS256", "HS384", "HS512"}}
    for length, algorithms in lengths.items():
        assert key_of(SECRET[:length]).algorithms == algorithms
    with pytest.raises(ValueError, match=r"^algorithms: "):
        Settings(secret=Secret(SECRET[:32]), algorithms=("HS512",))


def test_a_verified_token_is_verified_again_soon_and_never_outlives_its_end() -> None:
    now, elapsed = [1000.0], [0.0]
    verified = Verified(lambda: now[0], lambda: elapsed[0])
    alice = Principal("alice", frozenset())
    verified.add("long", alice, 5000)
    verified.add("short", alice, 1001)
    assert verified.find("long") == verified.find("short") == alice
    assert verified.find("other") is None
    now[0] = 1001
    assert verified.find("short") is None
    elapsed[0] = 3.9
    assert verified.find("long") == alice
    elapsed[0] = 4.0
    assert verified.find("long") is None


def test_so_many_verified_tokens_are_remembered_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tams_gateway_auth.bearer._MOST", 3)
    verified = Verified(time.time)
    alice = Principal("alice", frozenset())
    for token in "abacad":
        verified.add(token, alice, time.time() + 60)
    assert [token for token in "abcd" if verified.find(token)] == ["a", "c", "d"]


def test_a_token_that_is_remembered_needs_no_key(
    bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signer("ES256").token(sub="remembered")
    first = bearer.authenticate(credentials(token))
    monkeypatch.setattr(bearer, "_keys", lambda _: pytest.fail("verified again"))
    assert bearer.authenticate(credentials(token)) == first
