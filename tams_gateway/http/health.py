"""`/health` says that the process answers, `/ready` that its stores do, and how sinks fare."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from tams_gateway.domain.health import Health
from tams_gateway.http.routes import ANY, Route
from tams_gateway.operations import sinks
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.messages import Request, Response

_FRESH: Final = 1.0
"""How long a finding holds, in seconds, so that probes cost the stores little."""

_STALE: Final = 10.0
"""How old a finding may be while the stores are being asked again, in seconds."""


def health(_gateway: Gateway, _request: Request) -> Response:
    """Answer 200: the process takes requests."""
    return Response(body=b'{"status":"ok"}', headers={"Cache-Control": "no-store"})


class Readiness:
    """Answers 200 where every store answers, else 503 naming what fails.

    A sink that fails is named too, and a part of a store that others stand in for, but requests are
    served without them: that is `degraded`.

    The stores are asked at most once a second; who asks meanwhile gets what was found. `now`
    returns seconds, from any moment on.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._found: Response | None = None
        self._at = 0.0

    def __call__(self, gateway: Gateway, _request: Request) -> Response:
        """Return what the stores' own checks found."""
        # Probes do not queue up behind a store that hangs: they would take every thread.
        if self._lock.acquire(blocking=self._found is None):
            try:
                if self._found is None or self._now() - self._at >= _FRESH:
                    self._found = _ask(gateway)
                    self._at = self._now()
            finally:
                self._lock.release()
        found = self._found
        if found is None or self._now() - self._at >= _STALE:
            return _answer(503, {"status": "unavailable", "checks": {"stores": "no answer yet"}})
        return Response(status=found.status, body=found.body, headers=found.headers)


def routes() -> tuple[Route, ...]:
    """Return the two routes: exact paths, always on, without credentials."""
    return (
        Route("GET", "/health", health, ANY, open=True),
        Route("GET", "/ready", Readiness(), ANY, open=True),
    )


def _ask(gateway: Gateway) -> Response:
    stores = dict(_checks(gateway))
    ready = all(found.ok for found in stores.values())
    events = {f"events.{name}": found for name, found in sinks.health(gateway)} if ready else {}
    checks = {**stores, **events}
    well = all(found.ok and all(found.parts.values()) for found in checks.values())
    body: dict[str, object] = {
        "status": ("ok" if well else "degraded") if ready else "unavailable",
        "checks": {name: "ok" if found.ok else found.detail for name, found in checks.items()},
    }
    parts = {name: found.parts for name, found in checks.items() if found.parts}
    if parts:
        body["parts"] = parts
    return _answer(200 if ready else 503, body)


def _answer(status: int, body: object) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(status=status, body=msgspec.json.encode(body), headers=headers)


def _checks(gateway: Gateway) -> Iterator[tuple[str, Health]]:
    yield "metadata", gateway.metadata.check()
    for backend in gateway.backends.values():
        yield f"objects.{backend.name}", backend.store.check()
