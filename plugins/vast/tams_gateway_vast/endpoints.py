"""The endpoints of a cluster: requests go to those that answer, the others are left alone."""

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
import structlog
import urllib3
from requests.adapters import HTTPAdapter
from vastdb._internal import VastdbApi  # type: ignore[import-untyped]
from vastdb.config import BackoffConfig  # type: ignore[import-untyped]
from vastdb.errors import HttpStatus  # type: ignore[import-untyped]

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.border import Away, Busy, UnlistedStatus, border
from tams_gateway_vast.settings import Settings

T = TypeVar("T")

_CONNECTIONS: Final = 256
"""To one endpoint: as many as there are threads, or each further one would connect anew."""

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

_KNOWN: Final = frozenset(status.value for status in HttpStatus)

for _name in ("vastdb", "backoff"):
    # They log as errors what is normal here, as conflicts; whatever matters is raised as well.
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class EndpointHealth(msgspec.Struct, frozen=True):
    """Whether an endpoint answers, and how: its version, or what is wrong."""

    url: str
    ok: bool
    detail: str


class Endpoint:
    """One endpoint, with the SDK's client for it and connections that are kept."""

    def __init__(
        self, url: str, settings: Settings, log: structlog.typing.FilteringBoundLogger
    ) -> None:
        self.url = url
        self.error = ""
        """What it failed with; empty while it works."""
        self.away_until = 0.0
        """Seconds of the monotonic clock."""
        self._failures = 0
        self._retries = settings.retries
        self._api = _client(url, settings)
        self._log = log

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
        """Ask for the version, unless it is left alone just now; does not raise."""
        if self.away_until > time.monotonic():
            return EndpointHealth(self.url, False, self.error)
        try:
            version = ".".join(map(str, self.version()))
        except StoreError as error:
            return EndpointHealth(self.url, False, str(error))
        return EndpointHealth(self.url, True, f"VAST {version}")

    def version(self) -> tuple[int, ...]:
        """Return the version of the cluster. Raises the errors of `border`."""
        return self.send("version", _version)

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
            self._log.warning("endpoint_away", endpoint=self.url, error=str(error))
        self._failures += 1
        pause = min(_FIRST_PAUSE * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE)
        self.error = str(error)
        self.away_until = time.monotonic() + pause * random.uniform(0.5, 1.0)


class Endpoints:
    """All of them. Each request goes to the next one that works."""

    def __init__(self, settings: Settings, log: structlog.typing.FilteringBoundLogger) -> None:
        self.all: Sequence[Endpoint] = [Endpoint(url, settings, log) for url in settings.endpoints]
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
    bad = [one for one in found if not one.ok]
    lines = [f"{one.url} {one.detail}" for one in found if one.ok]
    lines += [one.detail.rpartition("; ")[0] or one.detail for one in bad]
    remedy = bad[0].detail.rpartition("; ")[2] if bad else ""
    return Health(len(bad) < len(found), f"{place}: {', '.join(lines)}", remedy)


def _look_at(answer: requests.Response, **_: object) -> None:
    """Raise `UnlistedStatus` where the SDK would raise a `ValueError` that tells nothing."""
    if answer.status_code not in _KNOWN:
        answer.close()
        raise UnlistedStatus(answer)
    # Else it is guessed from the text of each refusal, which takes longer than the request.
    answer.encoding = "utf-8"


def _client(url: str, settings: Settings) -> VastdbApi:
    if not settings.verify:
        # The config says so; else each request says it again.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    api = VastdbApi(
        access_key=settings.access_key.value,
        secret_key=settings.secret_key.value,
        endpoints=[url.rstrip("/")],
        max_entities_per_page=_PAGE,
        ssl_verify=settings.trust,
        timeout=(min(settings.timeout, _CONNECT), settings.timeout),
        # What is sent again is decided here, for every request alike.
        backoff_config=BackoffConfig(max_tries=1),
        version_check=False,
    )
    session: requests.Session = api._session_get_or_create(api.endpoints[0])
    # Proxies and credentials of the environment are looked up anew for each request.
    session.trust_env = False
    session.mount(
        f"{urlsplit(url).scheme}://", HTTPAdapter(pool_connections=1, pool_maxsize=_CONNECTIONS)
    )
    session.hooks["response"].append(_look_at)
    return api


def _version(api: VastdbApi) -> tuple[int, ...]:
    answer: requests.Response = api._request(
        method="GET",
        url=api._url(command="transaction"),
        headers={"tabular-get-vast-version": "true"},
    )
    name, _, version = answer.headers["Server"].partition(" ")
    if name != "vast":
        raise ValueError(f"Server: {name}")
    return tuple(int(one) for one in version.split("."))
