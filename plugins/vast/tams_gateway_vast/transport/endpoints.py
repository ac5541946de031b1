"""The endpoints of a cluster: requests go to those that answer, the others are left alone."""

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, TypeAlias, TypeVar

import msgspec
import structlog
import urllib3
from vastdb._internal import VastdbApi  # type: ignore[import-untyped]
from vastdb.config import BackoffConfig  # type: ignore[import-untyped]

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.transport.border import Away, Busy, border
from tams_gateway_vast.transport.session import Answer, Session

T = TypeVar("T")

Log: TypeAlias = structlog.typing.FilteringBoundLogger

_CONNECT: Final = 3.0
"""The most seconds until a connection stands; a host that is off answers never."""

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
"""Seconds for which an endpoint that fails is left alone; they double."""

_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
"""Seconds before a request is sent again to a cluster that is at its limit; they double."""

_PAGE: Final = 10_000
"""Names in one answer of a list."""

for _name in ("vastdb", "backoff"):
    # They log as errors what is normal here, as conflicts; whatever matters is raised as well.
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class EndpointHealth(msgspec.Struct, frozen=True):
    """Whether an endpoint answers, and how: its version, or what is wrong and what to do."""

    url: str
    ok: bool
    detail: str
    remedy: str = ""


class Endpoint:
    """One endpoint, with the SDK's client for it and connections that are kept."""

    def __init__(self, url: str, settings: Settings, log: Log, now: Callable[[], float]) -> None:
        self.url = url
        self.error = ""
        """What it failed with; empty while it works."""
        self.away_until = 0.0
        """Seconds of the monotonic clock."""
        self._failures = 0
        self._retries = settings.retries
        self._api = _client(url, settings)
        self._log = log
        self._now = now
        self._since = 0.0

    def send(self, what: str, call: Callable[[VastdbApi], T]) -> T:
        """Return what a call of the SDK returns; wait where the cluster is at its limit.

        Raises the errors of `border`. After `Away` others are preferred for some time.
        """
        pauses = itertools.islice(waits(), self._retries - 1)
        while True:
            try:
                return self._once(what, call)
            except Busy:
                wait = next(pauses, None)
                if wait is None:
                    raise
                time.sleep(wait)

    def examine(self) -> EndpointHealth:
        """Begin and end a transaction, unless it is left alone just now; does not raise."""
        if self.away_until <= time.monotonic():
            try:
                server = self.send("check", _tried)
            except StoreError as error:
                found, _, remedy = str(error).removeprefix(f"{self.url}: ").rpartition("; ")
                return EndpointHealth(self.url, False, found, remedy)
            return EndpointHealth(self.url, True, server)
        found, _, remedy = self.error.removeprefix(f"{self.url}: ").rpartition("; ")
        since = datetime.fromtimestamp(self._since, UTC).isoformat(timespec="seconds")
        return EndpointHealth(self.url, False, f"{found} (since {since})", remedy)

    def close(self) -> None:
        """Close the connections."""
        self._api.__exit__()

    def _once(self, what: str, call: Callable[[VastdbApi], T]) -> T:
        try:
            with border(self.url, what):
                answer = call(self._api)
        except Busy:
            raise
        except Away as error:
            self._fail(error)
            raise
        except StoreError:
            self._work()
            raise
        self._work()
        return answer

    def _work(self) -> None:
        if self._failures:
            self._failures, self.away_until, self.error = 0, 0.0, ""
            self._log.info("endpoint_back", endpoint=self.url)

    def _fail(self, error: Away) -> None:
        if not self._failures:
            self._since = self._now()
            self._log.warning("endpoint_away", endpoint=self.url, error=str(error))
        self._failures += 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE)
        self.error = str(error)
        self.away_until = time.monotonic() + pause * random.uniform(0.5, 1.0)


class Endpoints:
    """All of them. Each request goes to the next one that works."""

    def __init__(self, settings: Settings, log: Log, now: Callable[[], float]) -> None:
        self.all = [Endpoint(url, settings, log, now) for url in settings.endpoints]
        self._by_url: Mapping[str, Endpoint] = {one.url: one for one in self.all}
        self._timeout = settings.timeout
        self._lock = threading.Lock()
        self._turn = random.randrange(len(self.all))

    def next(self) -> Endpoint:
        """Return the next one that works, else the one whose pause ends first."""
        with self._lock:
            self._turn = (self._turn + 1) % len(self.all)
            now = time.monotonic()
            for one in (*self.all[self._turn :], *self.all[: self._turn]):
                if not one.error:
                    return one
                if one.away_until <= now:
                    # One request tries it; the others leave it alone until it is known.
                    one.away_until = now + self._timeout
                    return one
            return min(self.all, key=lambda one: one.away_until)

    def of(self, url: str) -> Endpoint:
        """Return the one with this URL. Raises KeyError."""
        return self._by_url[url]

    def examine(self) -> Sequence[EndpointHealth]:
        """Ask all of them at once; does not raise."""
        if len(self.all) == 1:
            return [self.all[0].examine()]
        with ThreadPoolExecutor(len(self.all)) as pool:
            return list(pool.map(Endpoint.examine, self.all))

    def close(self) -> None:
        """Close all connections."""
        for one in self.all:
            one.close()


def waits() -> Iterator[float]:
    """Yield seconds to wait after each of ever so many failures: they grow, with jitter."""
    wait = _FIRST_WAIT
    while True:
        yield wait * random.uniform(0.5, 1.0)
        wait = min(2 * wait, _LONGEST_WAIT)


def told(place: str, found: Sequence[EndpointHealth]) -> Health:
    """Return what the endpoints say together: well while one of them answers."""
    remedies = dict.fromkeys(one.remedy for one in found if not one.ok)
    lines = ", ".join(f"{one.url}: {one.detail}" for one in found)
    parts = {one.url: one.ok for one in found}
    return Health(any(parts.values()), f"{place} at {lines}", "; ".join(remedies), parts)


def _client(url: str, settings: Settings) -> VastdbApi:
    if not settings.verify:
        # The config says so; else each request says it again.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    api = VastdbApi(
        access_key=settings.access_key.value,
        secret_key=settings.secret_key.value,
        endpoints=[url.rstrip("/")],
        max_entities_per_page=_PAGE,
        timeout=urllib3.Timeout(min(settings.timeout, _CONNECT), settings.timeout),
        # What is sent again is decided here, for every request alike.
        backoff_config=BackoffConfig(max_tries=1),
        version_check=False,
    )
    where = api.endpoints[0]
    # The SDK would make one of `requests` at the first request.
    api._sessions[where.host] = Session(where, settings, api.client_sdk_version)
    return api


def begun(api: VastdbApi) -> tuple[int, str]:
    """Begin a transaction; return its id, and what the cluster says it is, as `vast 5.4.0.0`."""
    answer: Answer = api.begin_transaction()
    return int(answer.headers["tabular-txid"]), answer.headers["Server"]


def _tried(api: VastdbApi) -> str:
    txid, server = begun(api)
    api.rollback_transaction(txid)
    return server
