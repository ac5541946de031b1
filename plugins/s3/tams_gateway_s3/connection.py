"""The client of a server and its credentials, one for all threads of a process."""

import base64
import functools
import hashlib
import threading
import time
from typing import Any, Final

import botocore.session  # type: ignore[import-untyped]
import structlog
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.credentials import RefreshableCredentials  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
from botocore.loaders import create_loader  # type: ignore[import-untyped]

from tams_gateway.storage.errors import StoreError
from tams_gateway_s3.border import NO_CREDENTIALS, border
from tams_gateway_s3.settings import Settings
from tams_gateway_s3.signing import Credentials

_CONNECTIONS: Final = 64

ATTEMPTS: Final = 2
"""How often a request is sent; the time for it is divided among them."""

_LOOKED_FOR: Final = 60.0
"""After so many seconds credentials that were found on this machine are looked for again."""

_log = structlog.get_logger("tams_gateway.plugin")


class Connection:
    """Opened when it is first needed. The session and the client are botocore's, without types.

    `lifetime` is how long URLs hold, in seconds. Credentials that expire before are replaced by
    younger ones where there are any: else a URL ends with its credentials.
    """

    def __init__(self, settings: Settings, lifetime: int) -> None:
        self._settings = settings
        self._lifetime = lifetime
        self._what = f"bucket {settings.bucket}"
        self._lock = threading.Lock()
        self._session: Any = None
        self._client: Any = None
        self._found: Any = None
        self._look_again = 0.0

    @property
    def client(self) -> Any:
        """The client. Raises `StoreError` where it cannot be made."""
        with border(self._what), self._lock:
            self._resolve()
            if self._client is None:
                self._client = self._made()
            return self._client

    def credentials(self) -> Credentials:
        """Return credentials that hold now, refreshed or read again where they may have changed.

        Raises `StoreError` where there are none.
        """
        with border(self._what):
            with self._lock:
                found = self._resolve()
            frozen = None if found is None else found.get_frozen_credentials()
        if frozen is None or not frozen.access_key:
            raise StoreError(f"{self._what}: {NO_CREDENTIALS}")
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def short_lived(self) -> bool:
        """Whether the credentials expire before a URL that is made now. Raises `StoreError`."""
        with border(self._what), self._lock:
            return self._is_short(self._resolve())

    def close(self) -> None:
        """Close what is open; a later call opens it again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _resolve(self) -> Any:
        """Return the credentials of the session; look again for those that may have changed."""
        if self._session is None:
            self._take(self._opened())
        elif self._settings.access_key is None and time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + _LOOKED_FOR
            if not isinstance(self._found, RefreshableCredentials) or self._is_short(self._found):
                self._replace()
        return self._found

    def _replace(self) -> None:
        try:
            session = self._opened()
            if _differ(session.get_credentials(), self._found):
                self._take(session)
        except (BotoCoreError, OSError, RuntimeError) as error:
            # Those that are there may hold for long: whether they do is seen when they are used.
            _log.warning("credentials_not_renewed", bucket=self._settings.bucket, error=str(error))

    def _take(self, session: Any) -> None:
        # A call under way keeps the old client, whose connections end with the last of these.
        self._session, self._found, self._client = session, session.get_credentials(), None
        self._look_again = time.monotonic() + _LOOKED_FOR

    def _is_short(self, found: Any) -> bool:
        return isinstance(found, RefreshableCredentials) and bool(
            found.refresh_needed(refresh_in=self._lifetime)
        )

    def _opened(self) -> Any:
        settings = self._settings
        session = botocore.session.get_session()
        session.set_config_variable("region", settings.region)
        if settings.profile is not None:
            session.set_config_variable("profile", settings.profile)
        if settings.access_key is not None and settings.secret_key is not None:
            token = None if settings.session_token is None else settings.session_token.value
            session.set_credentials(settings.access_key.value, settings.secret_key.value, token)
        session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
        return session

    def _made(self) -> Any:
        settings = self._settings
        patience = settings.timeout / ATTEMPTS
        client = self._session.create_client(
            "s3",
            endpoint_url=settings.server,
            verify=settings.ca_bundle,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": settings.addressing},
                connect_timeout=patience,
                read_timeout=patience,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=_CONNECTIONS,
                # Servers that are not Amazon's know no checksums of its newer kinds.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
        return client


@functools.cache
def _loader(data_path: str | None) -> Any:
    """Return what reads how services are described: for each session anew, it took 0.1 s."""
    return create_loader(data_path)


def _add_md5(request: Any, **_: object) -> None:
    """Add the checksum that servers ask of this request which know no newer kind."""
    digest = hashlib.md5(request.data, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _differ(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is not other
    return bool(one.get_frozen_credentials() != other.get_frozen_credentials())
