"""The chain asks providers in order, and says 401 with the challenge of each."""

from collections.abc import Sequence

import pytest

from tams_gateway.auth.chain import Chain
from tams_gateway.auth.journal import AuthEntry
from tams_gateway.auth.principal import ANYBODY, Principal, Scope
from tams_gateway.auth.provider import Credentials, DeniedError
from tams_gateway.auth.rates import RateSettings
from tams_gateway.domain.errors import Invalid, TooManyRequests, Unauthenticated
from tams_gateway.domain.health import Health

ALICE = Principal("alice", frozenset({Scope.READ}))
BOB = Principal("bob", frozenset(Scope))


class Knows:
    """A provider of one scheme: it knows its own credentials and denies others of the scheme."""

    def __init__(self, scheme: str, known: str, principal: Principal) -> None:
        self.challenge = f'{scheme} realm="tams"'
        self.asked: list[Credentials] = []
        self._scheme = scheme
        self._known = known
        self._principal = principal

    def authenticate(self, credentials: Credentials) -> Principal | None:
        self.asked.append(credentials)
        scheme, _, value = (credentials.authorization or "").partition(" ")
        if scheme != self._scheme:
            return None
        if value != self._known:
            raise DeniedError("wrong", noted=value == "noted", guess=value != "expired")
        return self._principal

    def check(self) -> Health:
        return Health(True, "")

    def close(self) -> None:
        """Hold nothing."""


def credentials(authorization: str | None = None, access_token: str | None = None) -> Credentials:
    return Credentials(authorization, access_token, {}, "127.0.0.1")


@pytest.fixture
def providers() -> Sequence[Knows]:
    return Knows("Basic", "a", ALICE), Knows("Bearer", "b", BOB)


def test_without_providers_anybody_is_served_and_credentials_are_not_looked_at() -> None:
    """B20."""
    chain = Chain([])
    assert chain.open
    for sent in (credentials(), credentials("Bearer x"), credentials("Basic y", "z")):
        assert chain.authenticate(sent) == ANYBODY


def test_the_first_provider_that_knows_the_credentials_answers(providers: Sequence[Knows]) -> None:
    chain = Chain(providers)
    assert not chain.open
    assert chain.authenticate(credentials("Bearer b")) == BOB
    assert chain.authenticate(credentials("Basic a")) == ALICE
    assert [len(provider.asked) for provider in providers] == [2, 1]


@pytest.mark.parametrize("authorization", [None, "Basic wrong", "Digest a"])
def test_missing_and_wrong_credentials_are_401_with_every_challenge(
    providers: Sequence[Knows], authorization: str | None
) -> None:
    """R-AUTH-02."""
    with pytest.raises(Unauthenticated) as caught:
        Chain(providers).authenticate(credentials(authorization))
    assert caught.value.status == 401
    assert caught.value.headers == {"WWW-Authenticate": 'Basic realm="tams", Bearer realm="tams"'}


def test_wrong_credentials_are_not_shown_to_further_providers(providers: Sequence[Knows]) -> None:
    with pytest.raises(Unauthenticated):
        Chain(providers).authenticate(credentials("Basic wrong"))
    assert providers[1].asked == []


def test_a_challenge_that_two_providers_share_is_told_once(providers: Sequence[Knows]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Chain([*providers, *providers]).authenticate(credentials())
    assert caught.value.headers["WWW-Authenticate"].count("Basic") == 1


@pytest.mark.parametrize("authorization", ["Bearer x", "Basic b", "b"])
def test_two_different_credentials_in_one_request_are_400(
    providers: Sequence[Knows], authorization: str
) -> None:
    with pytest.raises(Invalid, match="query parameter access_token: differs") as caught:
        Chain(providers).authenticate(credentials(authorization, "b"))
    assert caught.value.status == 400
    assert providers[0].asked == []


def test_the_same_token_twice_is_one_credential(providers: Sequence[Knows]) -> None:
    assert Chain(providers).authenticate(credentials("Bearer b", "b")) == BOB


class Header:
    """A provider with a header of its own."""

    challenge = "Key"

    def __init__(self, header: str = "x-key") -> None:
        self.header = header

    def authenticate(self, credentials: Credentials) -> Principal | None:
        return ALICE if self.header in credentials.headers else None

    def check(self) -> Health:
        return Health(True, "")

    def close(self) -> None:
        """Hold nothing."""


def test_a_header_of_a_providers_own_counts_as_credentials(providers: Sequence[Knows]) -> None:
    chain = Chain([*providers, Header(), Header("x-other")])
    assert chain.authenticate(Credentials(None, None, {"x-key": "k"}, "::1")) == ALICE
    assert chain.authenticate(Credentials("Bearer b", None, {"x-foreign": "k"}, "::1")) == BOB
    for sent in (
        Credentials("Bearer b", None, {"x-key": "k"}, "::1"),
        Credentials(None, "b", {"x-key": "k"}, "::1"),
        Credentials(None, None, {"x-key": "k", "x-other": "k"}, "::1"),
    ):
        with pytest.raises(Invalid, match="header x-key: there are other credentials"):
            chain.authenticate(sent)


def test_the_first_scheme_of_the_config_is_the_first_challenge(
    providers: Sequence[Knows],
) -> None:
    """R-AUTH-02."""
    with pytest.raises(Unauthenticated) as caught:
        Chain([*reversed(providers), Header()]).authenticate(credentials())
    assert caught.value.headers["WWW-Authenticate"].split(", ") == [
        'Bearer realm="tams"',
        'Basic realm="tams"',
        "Key",
    ]


def test_wrong_credentials_are_noted_once_unless_the_provider_did(
    providers: Sequence[Knows],
) -> None:
    noted: list[AuthEntry] = []
    chain = Chain(providers, note=noted.append)
    for value in ("x", "x", "noted", "expired"):
        with pytest.raises(Unauthenticated):
            chain.authenticate(
                Credentials(f"Bearer {value}", None, {}, "192.0.2.1", f"request {value}")
            )
    with pytest.raises(Unauthenticated):
        chain.authenticate(credentials())
    assert noted == [
        AuthEntry("failure", "", "192.0.2.1", f"request {value}", "wrong")
        for value in ("x", "expired")
    ]


def test_an_address_that_guesses_is_refused_before_anybody_looks(
    providers: Sequence[Knows],
) -> None:
    chain = Chain(providers, RateSettings(failures_per_minute=3))
    chain.authenticate(credentials("Bearer b"))
    for value in ("1", "2", "3"):
        with pytest.raises(Unauthenticated):
            chain.authenticate(credentials(f"Bearer {value}"))
    asked = len(providers[1].asked)
    with pytest.raises(TooManyRequests) as caught:
        chain.authenticate(credentials("Bearer 4"))
    assert 1 <= int(caught.value.headers["Retry-After"]) <= 20
    assert len(providers[1].asked) == asked
    assert chain.authenticate(credentials("Bearer b")) == BOB
    assert chain.authenticate(Credentials("Basic a", None, {}, "192.0.2.9")) == ALICE


def test_a_principal_is_bounded_wherever_it_calls_from(providers: Sequence[Knows]) -> None:
    chain = Chain(providers, RateSettings(requests_per_second=0.01, burst=2))
    for peer in ("192.0.2.1", "192.0.2.2"):
        chain.authenticate(Credentials("Bearer b", None, {}, peer))
    with pytest.raises(TooManyRequests):
        chain.authenticate(Credentials("Bearer b", None, {}, "192.0.2.3"))
    assert chain.authenticate(Credentials("Basic a", None, {}, "192.0.2.1")) == ALICE
