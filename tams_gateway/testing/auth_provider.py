"""The contract of auth providers: what the gateway relies on, a test for each promise.

`tams_gateway.testing.suite` runs it on any plugin; with `--tams-credentials` it also proves what
right ones come to. A test of a plugin's own may inherit it, and gives the fixtures `opener` and
`accepted`.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import AuthProvider, Credentials, DeniedError
from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import StoreError
from tams_gateway.testing.faults import growth
from tams_gateway.testing.opening import Opener

_PEER: Final = "192.0.2.7"
NONE: Final = Credentials(None, None, {}, _PEER, "kit")
"""What a request brings that says nothing of who sent it."""

_CHALLENGE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+( [\x20-\x7e]+)?")

_HOSTILE: Final = (
    "",
    " ",
    "Basic",
    "Basic ",
    "Basic =",
    "Basic \xff\xfe",
    "Basic " + "A" * 20_000,
    "Basic Og==",
    "Bearer",
    "Bearer ",
    "Bearer a.b.c",
    "Bearer ..",
    "Bearer " + "x" * 20_000,
    "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    "Bearer null",
    "Negotiate YII=",
    "Digest username=admin",
    "\x00",
    "\u2028\U0001f4fa",
)
"""What a stranger may send as `Authorization`, or behind its scheme as a token."""


def credentials(text: str) -> Credentials:
    """Return what the text says: `Header: value`, or `access_token=value`.

    Raises ValueError for another.
    """
    name, separator, value = text.partition("=" if text.startswith("access_token=") else ":")
    if not separator:
        raise ValueError(f"expected HEADER: VALUE or access_token=VALUE, got {text!r}")
    name, value = name.strip().lower(), value.strip()
    if name == "access_token":
        return replace(NONE, access_token=value)
    authorization = value if name == "authorization" else None
    return replace(NONE, authorization=authorization, headers={name: value})


def _asked(provider: AuthProvider, sent: Credentials) -> Principal | None:
    """Return whom the provider takes them for, None where it denies them or knows them not."""
    try:
        return provider.authenticate(sent)
    except DeniedError:
        return None


def _denial(provider: AuthProvider, sent: Credentials) -> str:
    """Return what the provider says to them, nothing where they are not of its kind."""
    try:
        assert provider.authenticate(sent) is None
    except DeniedError as error:
        return str(error)
    return ""


def _secret(sent: Credentials) -> str:
    return (sent.authorization or sent.access_token or "".join(sent.headers.values())).split()[-1]


def _with(sent: Credentials, secret: str) -> Credentials:
    """Return the credentials with another secret in the place of theirs."""
    old = _secret(sent)

    def changed(text: str) -> str:
        return text[: len(text) - len(old)] + secret

    return replace(
        sent,
        authorization=None if sent.authorization is None else changed(sent.authorization),
        access_token=None if sent.access_token is None else changed(sent.access_token),
        headers={name: changed(value) for name, value in sent.headers.items()},
    )


class AuthProviderContract:
    """Every promise of `AuthProvider`."""

    @pytest.fixture
    def provider(self, opener: Opener[AuthProvider]) -> Iterator[AuthProvider]:
        """Return the provider, open."""
        provider = opener()
        yield provider
        provider.close()

    @pytest.fixture
    def known(self, accepted: Sequence[Credentials]) -> Sequence[Credentials]:
        """Return credentials that the provider must accept, or skip the clause."""
        if not accepted:
            pytest.skip("no right credentials were given: --tams-credentials 'HEADER: VALUE'")
        return accepted

    def test_the_challenge_is_one(self, provider: AuthProvider) -> None:
        """A 401 carries it: clients learn from it how to log in (R-AUTH-02)."""
        assert _CHALLENGE.fullmatch(provider.challenge)

    def test_a_request_without_credentials_is_nobodys(self, provider: AuthProvider) -> None:
        """The next provider is asked; one that lets everybody in opens the gateway (R-AUTH-01)."""
        assert provider.authenticate(NONE) is None

    @pytest.mark.parametrize("number", range(len(_HOSTILE)))
    def test_what_strangers_send_lets_nobody_in(self, provider: AuthProvider, number: int) -> None:
        """Anything but None or a denial is a fault of the gateway, and a 500 for all to see."""
        text = _HOSTILE[number]
        headers = {"authorization": text, "x-api-key": text, "cookie": text}
        assert _asked(provider, replace(NONE, authorization=text, headers=headers)) is None
        assert _asked(provider, replace(NONE, access_token=text.partition(" ")[2] or text)) is None

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(scheme=st.sampled_from(["Basic ", "Bearer ", "ApiKey ", ""]), text=st.text(max_size=200))
    def test_no_text_lets_anybody_in(self, provider: AuthProvider, scheme: str, text: str) -> None:
        """Whoever guesses gets nowhere, and finds no text that breaks the provider."""
        sent = replace(NONE, authorization=scheme + text, headers={"authorization": scheme + text})
        assert _asked(provider, sent) is None
        assert _asked(provider, replace(NONE, access_token=text)) is None

    def test_right_credentials_say_who_it_is(
        self, provider: AuthProvider, known: Sequence[Credentials]
    ) -> None:
        """The name goes into `created_by`, the scopes decide what is allowed (R-AUTH-05, -12)."""
        for sent in known:
            principal = provider.authenticate(sent)
            assert principal is not None
            assert principal.name
            assert principal.scopes <= frozenset(Scope)
            assert principal == provider.authenticate(sent)

    def test_many_threads_are_told_the_same(
        self, provider: AuthProvider, known: Sequence[Credentials]
    ) -> None:
        """Requests come side by side: nobody may ever be taken for somebody else."""
        wrong = _with(known[0], f"{_secret(known[0])[:-3]}xyz")
        expected = [provider.authenticate(sent) for sent in known]
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(_asked, provider, sent) for sent in [*known, wrong] * 16]
            found = [one.result() for one in asked]
        assert [*expected, None] * 16 == found

    def test_credentials_that_differ_in_a_character_are_denied(
        self, provider: AuthProvider, known: Sequence[Credentials]
    ) -> None:
        """A secret that is compared in part only can be guessed part by part."""
        for sent in known:
            secret = _secret(sent)
            middle = len(secret) // 2
            other = "A" if secret[middle] != "A" else "B"
            for changed in (
                secret[:middle] + other + secret[middle + 1 :],
                secret[: -len(secret) // 3],
                secret[middle:],
                "x" + secret,
            ):
                assert _asked(provider, _with(sent, changed)) is None

    def test_a_denial_does_not_repeat_the_secret(
        self, provider: AuthProvider, known: Sequence[Credentials]
    ) -> None:
        """Its text is shown to the client and stands in logs."""
        wrong = f"{_secret(known[0])[:-3]}xyz"
        assert wrong not in _denial(provider, _with(known[0], wrong))

    def test_calls_leave_nothing_open(
        self, provider: AuthProvider, accepted: Sequence[Credentials]
    ) -> None:
        """A server runs for months: one file or thread for each request ends it."""
        sent = [NONE, *accepted]
        assert {} == growth(lambda: [_asked(provider, one) for one in sent])

    def test_it_says_whether_it_works(self, provider: AuthProvider) -> None:
        """For `tams-gateway check` and `/ready`: it tells, and does not raise."""
        assert isinstance(provider.check(), Health)

    def test_a_store_that_is_away_is_no_denial(
        self, opener: Opener[AuthProvider], accepted: Sequence[Credentials]
    ) -> None:
        """A client that gets 401 gives its credentials up; with 503 it comes again."""
        provider = opener.on_a_dead_store()
        for sent in accepted:
            try:
                assert provider.authenticate(sent) is not None
            except StoreError:
                continue
        provider.close()
