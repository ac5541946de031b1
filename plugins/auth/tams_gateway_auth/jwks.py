"""Where public keys come from: a URL that is fetched now and then, or a file."""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog
import urllib3

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import StoreError
from tams_gateway_auth.key_sets import parse
from tams_gateway_auth.verification import VerifyingKey

_LARGEST: Final = 2**20
"""The largest key set that is read, in bytes."""

_PATIENCE: Final = 5.0
"""How long a fetch may take in all, in seconds."""

_WAITING: Final = 8
"""How many requests wait for a fetch at once; others are not let pile up behind it."""


class KeySource(Protocol):
    """Public keys by their id. Used by many threads at once."""

    def find(self, key_id: str | None) -> Sequence[VerifyingKey]:
        """Return the keys of that id, or all for None. Raises `StoreError` if none can be had."""

    def check(self) -> Health:
        """Say whether the keys are there and up to date; does not raise."""

    def close(self) -> None:
        """Release what is held."""


class FetchedKeys:
    """The keys of a URL: fetched at start, again every `refresh` seconds in the background.

    An id that is unknown makes one fetch more, at most every `pause` seconds. While the URL is away
    the keys stay that were there.
    """

    def __init__(
        self,
        fetch: Callable[[], bytes],
        log: structlog.typing.FilteringBoundLogger,
        *,
        refresh: float,
        pause: float,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._log = log
        self._refresh = refresh
        self._pause = pause
        self._elapsed = elapsed
        self._keys: Sequence[VerifyingKey] = ()
        self._error = ""
        self._asked = float("-inf")
        self._fetching = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_WAITING)
        self._stopped = threading.Event()
        self._update()
        self._thread = threading.Thread(target=self._keep_fresh, name="jwks", daemon=True)
        self._thread.start()

    def find(self, key_id: str | None) -> Sequence[VerifyingKey]:
        """Return the keys of that id, or all for None. Raises `StoreError` if none can be had."""
        found = _of(self._keys, key_id)
        if not found:
            self._update_for_request()
            found = _of(self._keys, key_id)
        if not found and self._error:
            raise StoreError(f"the keys for tokens cannot be fetched: {self._error}")
        return found

    def check(self) -> Health:
        """Say whether there are keys, and whether the last fetch brought them."""
        known = f"keys: {len(self._keys)}"
        if not self._error:
            return Health(True, known)
        # Tokens that these keys signed are still served: that is no reason to take no requests.
        remedy = "see that jwks_url is right and answers"
        return Health(bool(self._keys), f"{known}; {self._error}", remedy)

    def close(self) -> None:
        """Stop fetching."""
        self._stopped.set()
        self._thread.join(_PATIENCE)

    def _keep_fresh(self) -> None:
        while not self._stopped.wait(self._pause if self._error else self._refresh):
            try:
                with self._fetching:
                    self._update()
            except Exception:
                # Whatever it was must not end the thread, and keep old keys in force for ever.
                self._log.exception("jwks_failed")

    def _update_for_request(self) -> None:
        """Fetch, unless a request just did. Raises `StoreError` where many wait already."""
        if not self._waiting.acquire(blocking=False):
            raise StoreError("many requests wait for the keys of tokens already")
        try:
            if not self._fetching.acquire(timeout=_PATIENCE):
                raise StoreError("the keys of tokens are being fetched")
            try:
                if self._elapsed() - self._asked >= self._pause:
                    self._update()
                    self._asked = self._elapsed()
            finally:
                self._fetching.release()
        finally:
            self._waiting.release()

    def _update(self) -> None:
        try:
            self._keys = parse(self._fetch())
            self._error = ""
        except (StoreError, ValueError) as error:
            self._error = str(error)
            self._log.warning("jwks_failed", error=self._error, keys=len(self._keys))


class FileKeys:
    """The keys of a file, read again when it changes. Raises `ValueError`, `OSError` at start."""

    def __init__(self, path: Path, log: structlog.typing.FilteringBoundLogger) -> None:
        self._path = path
        self._log = log
        self._error = ""
        self._state = self._stat()
        self._keys = parse(path.read_bytes())

    def find(self, key_id: str | None) -> Sequence[VerifyingKey]:
        """Return the keys of that id, or all for None; a file that is broken changes nothing."""
        try:
            state = self._stat()
            if state != self._state:
                self._keys = parse(self._path.read_bytes())
                self._state, self._error = state, ""
        except (OSError, ValueError) as error:
            if str(error) != self._error:
                self._error = str(error)
                self._log.warning("jwks_failed", error=self._error, keys=len(self._keys))
        return _of(self._keys, key_id)

    def check(self) -> Health:
        """Say whether the file can be read."""
        found = self.find(None)
        if self._error:
            return Health(False, self._error, f"write the key set to {self._path} again")
        return Health(True, f"keys: {len(found)}")

    def close(self) -> None:
        """Release nothing."""

    def _stat(self) -> tuple[int, int, int]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino


class HttpFetch:
    """Gets a key set over HTTP: no redirects, a bounded time and size, TLS always verified.

    Raises `OSError` for a bundle of certificates that cannot be read.
    """

    def __init__(self, url: str, ca_bundle: str | None) -> None:
        self._url = url
        self._tls = ssl.create_default_context(cafile=ca_bundle)

    def __call__(self) -> bytes:
        """Return the document. Raises `StoreError`."""
        end = time.monotonic() + _PATIENCE
        try:
            with urllib3.PoolManager(
                retries=False, timeout=urllib3.Timeout(connect=3, read=3), ssl_context=self._tls
            ) as pool:
                answer = pool.request(
                    "GET",
                    self._url,
                    headers={"Accept": "application/json"},
                    redirect=False,
                    preload_content=False,
                )
                with answer:
                    if answer.status != 200:
                        raise StoreError(f"{self._url} answered {answer.status}, not 200")
                    return self._body(answer, end)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StoreError(f"{self._url}: {error}") from error

    def _body(self, answer: urllib3.BaseHTTPResponse, end: float) -> bytes:
        body = b""
        while part := answer.read1(65536):
            body += part
            if len(body) > _LARGEST:
                raise StoreError(f"{self._url} answered more than {_LARGEST} bytes")
            if time.monotonic() > end:
                raise StoreError(f"{self._url} took more than {_PATIENCE:.0f} s")
        return body


def _of(keys: Sequence[VerifyingKey], key_id: str | None) -> Sequence[VerifyingKey]:
    return [key for key in keys if key_id is None or key.id in (key_id, None)]
