"""The options of an `[objects.NAME]` section with `plugin = "s3"`."""

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tams_gateway.plugin import Secret
from tams_gateway_s3.signing import LONGEST


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the bucket is, who asks, and how long its URLs hold; times in seconds."""

    bucket: str
    prefix: str = ""
    """What the gateway lets keys begin with; `check` tries a key of its own there."""
    endpoint: str | None = None
    """Of the server; Amazon's for the region, unless it is given."""
    region: str = "us-east-1"
    addressing: Literal["path", "virtual"] = "path"
    access_key: Secret | None = None
    """With `secret_key`; without both, botocore looks where it always does."""
    secret_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = None
    """A profile of the shared AWS files."""
    public_endpoint: str | None = None
    """Where clients reach the bucket, if not where the gateway does."""
    ca_bundle: str | None = None
    create_bucket: bool = False
    """Make the bucket if it is not there."""
    put_lifetime: int | None = None
    """How long PUT URLs hold; unset: as long as `/service` promises."""
    get_lifetime: int | None = None
    window: int = 0
    """For so long GET URLs of one object stay the same, so that caches may keep them."""
    timeout: float = 10.0
    """How long a request to the server may take, one further attempt included."""

    @property
    def server(self) -> str:
        """The URL of the server."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"

    def __post_init__(self) -> None:
        """Check what the types do not say. Raises ValueError."""
        for name in ("endpoint", "public_endpoint"):
            value = getattr(self, name)
            if value is not None and not _is_endpoint(value):
                raise ValueError(f"{name}: expected a URL as https://s3.example.com, got {value!r}")
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key: stands together with secret_key, or neither does")
        if self.session_token is not None and self.access_key is None:
            raise ValueError("session_token: belongs to an access_key")
        if not self.bucket or "/" in self.bucket:
            raise ValueError(f"bucket: expected the name of a bucket, got {self.bucket!r}")
        if not 0 <= self.window <= LONGEST:
            raise ValueError(f"window: expected 0 to {LONGEST}, got {self.window}")
        if self.timeout <= 0:
            raise ValueError(f"timeout: expected more than 0, got {self.timeout}")

    def lifetimes(self, promised: int) -> tuple[int, int]:
        """Return how long URLs to upload and to read hold.

        `promised` is the least that `/service` announces. Raises ValueError for less, and for more
        than a signature may hold.
        """
        found = []
        for name in ("put_lifetime", "get_lifetime"):
            value = getattr(self, name)
            value = promised if value is None else value
            if not promised <= value <= LONGEST - self.window:
                bounds = f"{promised} (limits.min_presigned_url_timeout) to {LONGEST - self.window}"
                raise ValueError(f"{name}: expected {bounds}, got {value}")
            found.append(value)
        return found[0], found[1]


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and (parts.port is None or parts.port > 0)
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        return False
