"""What the SDK sends its requests through: signed, on connections that are kept.

It stands where the SDK has a session of `requests`, which takes several times as long to prepare
and sign a request, and to read its answer.
"""

import time
from collections.abc import Mapping
from typing import Final

import certifi
import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import urllib3
from urllib3.util import Url
from vastdb.errors import HttpStatus  # type: ignore[import-untyped]

from tams_gateway_vast.settings import Settings
from tams_gateway_vast.transport.border import UnlistedStatus
from tams_gateway_vast.transport.signature import Signer

_CONNECTIONS: Final = 256
"""To one endpoint: as many as there are threads, or each further one would connect anew."""

_KNOWN: Final = frozenset(status.value for status in HttpStatus)

_ONCE: Final = urllib3.Retry(total=False, redirect=False)
"""What is sent again is decided elsewhere, for every request alike."""


class Request(msgspec.Struct):
    """What an answer is for."""

    method: str
    url: str


class Answer(msgspec.Struct):
    """An answer that was read to its end; has the names under which the SDK looks for it."""

    request: Request
    status_code: int
    headers: Mapping[str, str]
    """In any case of letters."""
    content: bytes

    @property
    def text(self) -> str:
        """The body, as the text of a refusal."""
        return self.content.decode(errors="replace")


class Session:
    """Sends requests to one endpoint. Used by many threads at once; not to outlive a fork."""

    def __init__(self, url: Url, settings: Settings, agent: str) -> None:
        self._url = url.url
        host = (url.host if url.port in (80, 443) else url.netloc) or ""
        self._headers = {"Host": host, "User-Agent": agent}
        self._signer = Signer(settings.access_key.value, settings.secret_key.value, host)
        manager = urllib3.PoolManager(
            maxsize=_CONNECTIONS,
            cert_reqs="CERT_REQUIRED" if settings.verify else "CERT_NONE",
            ca_certs=settings.ca_bundle or certifi.where(),
        )
        self.pool: urllib3.HTTPConnectionPool = manager.connection_from_url(self._url)

    def request(
        self,
        method: str,
        url: str,
        *,
        timeout: urllib3.Timeout,
        headers: Mapping[str, str] | None = None,
        data: bytes | pa.Buffer | None = None,
        stream: bool = False,
    ) -> Answer:
        """Send a request once, and return the answer, read to its end even for a `stream`.

        Raises urllib3's HTTPError, and `UnlistedStatus` where the SDK would raise a ValueError
        that tells nothing.
        """
        target = url.removeprefix(self._url)
        if not target.startswith("/"):
            target = f"/{target}"
        body = b"" if data is None and method != "GET" else data
        signed = self._signer.headers(method, target, body, time.time())
        found = self.pool.urlopen(
            method,
            target,
            body,
            {**self._headers, **(headers or {}), **signed},
            retries=_ONCE,
            redirect=False,
            timeout=timeout,
        )
        if found.status not in _KNOWN:
            raise UnlistedStatus(found.status, found.reason or "")
        return Answer(Request(method, url), found.status, found.headers, found.data)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self.pool.close()
