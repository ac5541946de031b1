"""The auth providers of the config, asked in order."""

from collections.abc import Callable, Sequence

from tams_gateway.auth.journal import AuthEntry
from tams_gateway.auth.principal import ANYBODY, Principal
from tams_gateway.auth.provider import AuthProvider, Credentials, DeniedError, MayWait, UsesHeader
from tams_gateway.auth.rates import Failures, Rates, RateSettings
from tams_gateway.domain.errors import Invalid, Unauthenticated


def note_nothing(_entry: AuthEntry) -> None:
    """Keep no log of logins."""


class Chain:
    """Tells whom a request is for: the first provider that knows the credentials answers.

    `note` adds an entry to the log of logins.
    """

    def __init__(
        self,
        providers: Sequence[AuthProvider],
        settings: RateSettings = RateSettings(),  # noqa: B008 - a frozen struct
        note: Callable[[AuthEntry], None] = note_nothing,
    ) -> None:
        self.rates = Rates(settings)
        self._failures = Failures(settings.failures_per_minute)
        self._note = note
        self._providers = tuple(providers)
        self._headers = tuple(
            dict.fromkeys(one.header for one in providers if isinstance(one, UsesHeader))
        )
        self._waiting = tuple(one for one in providers if isinstance(one, MayWait))
        challenges = dict.fromkeys(provider.challenge for provider in providers)
        self._challenge = {"WWW-Authenticate": ", ".join(challenges)}

    @property
    def open(self) -> bool:
        """Whether there is no provider, so that anybody may do anything."""
        return not self._providers

    @property
    def may_wait(self) -> bool:
        """Whether there is a provider that `waits` is to ask."""
        return bool(self._waiting)

    def waits(self, credentials: Credentials) -> bool:
        """Whether a provider that mostly answers at once may have to wait for these."""
        return any(provider.waits(credentials) for provider in self._waiting)

    def check_login(self, peer: str, mark: int) -> None:
        """Let credentials be tried by a route that looks at them itself; `mark` tells them apart.

        Raises `TooManyRequests` for an address with too many wrong ones.
        """
        self._failures.check(peer, mark)

    def note_login(self, peer: str, mark: int, *, right: bool) -> None:
        """Count what became of them."""
        if right:
            self._failures.passed(mark)
        else:
            self._failures.failed(peer, mark, guess=True)

    def authenticate(self, credentials: Credentials) -> Principal:
        """Return whom the credentials belong to; without providers nobody looks at them (B20).

        Raises `Invalid` for two different credentials in one request, `Unauthenticated`, with the
        challenge of every provider, for missing or wrong ones (R-AUTH-02), and `TooManyRequests`
        for an address with too many wrong ones or a principal with too many requests.
        """
        if not self._providers:
            return ANYBODY
        own = [credentials.headers.get(name) for name in self._headers] if self._headers else []
        self._refuse_two(credentials, own)
        mark = hash((credentials.peer, credentials.authorization, credentials.access_token, *own))
        self._failures.check(credentials.peer, mark)
        try:
            for provider in self._providers:
                principal = provider.authenticate(credentials)
                if principal is not None:
                    self._failures.passed(mark)
                    self.rates.check(f"principal {principal.name}")
                    return principal
        except DeniedError as error:
            if self._failures.failed(credentials.peer, mark, guess=error.guess) and not error.noted:
                peer, id_ = credentials.peer, credentials.request_id
                self._note(AuthEntry("failure", "", peer, id_, str(error)))
            raise Unauthenticated(f"credentials refused: {error}", self._challenge) from error
        raise Unauthenticated("credentials needed", self._challenge)

    def _refuse_two(self, credentials: Credentials, own: Sequence[str | None]) -> None:
        """Refuse credentials that say different things: none of them counts more."""
        authorization, token = credentials.authorization, credentials.access_token
        if authorization is not None and token is not None:
            scheme, _, sent = authorization.partition(" ")
            if scheme.lower() != "bearer" or sent.strip() != token:
                raise Invalid.parameter("access_token", "differs from the Authorization header")
        for name, value in zip(self._headers, own, strict=True):
            others = len(own) - own.count(None) - 1
            if value is not None and (others or authorization is not None or token is not None):
                raise Invalid(f"header {name}: there are other credentials beside it")
