"""The options of a `[metadata]` section with `plugin = "vast"`."""

import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from tams_gateway.plugin import Secret

GuardName: TypeAlias = Literal["auto", "r", "r+", "n", "n+", "k", "process"]
"""How two writers are kept from deciding on the same state; `auto`: as probes of a cluster say."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""Other letters of a path are not signed as a cluster expects it."""

_MOST_ROWS: Final = 65_536
"""More rows of one update or delete are refused."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the database is, who asks, and how it is used; times in seconds."""

    endpoints: tuple[str, ...]
    """The URLs of the cluster; requests are spread over those that answer."""
    access_key: Secret
    secret_key: Secret
    bucket: str
    """The name of the database: a bucket of the protocol DATABASE."""
    schema: str = "tams"
    guard: GuardName = "auto"
    shards: int = 256
    """How many rows guard the writes; fixed when the tables are made."""
    auto_init: bool = True
    """Make the schema and the tables that are missing."""
    timeout: float = 10.0
    """How long one request may take."""
    patience: float = 20.0
    """How long a read or a write is tried again while the cluster fails."""
    retries: int = 6
    """How often a request is sent to a cluster that is at its limit."""
    batch_rows: int = _MOST_ROWS
    """The most rows of one request that writes."""
    sorting: bool | Literal["auto"] = "auto"
    """Make tables with sorting keys; `auto`: where the version of the cluster has them."""
    projections: bool = False
    """Make semi-sorted projections of the tables."""
    journal: str | None = None
    """A folder in which processes note their open transactions, so that what one leaves when it is
    killed is ended at once; unset: a folder among the temporary ones."""
    ca_bundle: str | None = None
    """A PEM file of the certificates to trust."""
    verify: bool = True
    """Check the certificates of the cluster."""

    @property
    def trust(self) -> bool | str:
        """What certificates are checked against: a file, those of `certifi` (True), nothing."""
        return self.ca_bundle if self.ca_bundle is not None else self.verify

    @property
    def place(self) -> str:
        """The name of the database and its schema, for messages."""
        return f"{self.bucket}/{self.schema}"

    @property
    def journal_folder(self) -> Path:
        """The folder of the journals of this schema."""
        if self.journal is not None:
            return Path(self.journal)
        schema = " ".join((*sorted(self.endpoints), self.place)).encode()
        name = f"tams-gateway-vast-{os.getuid()}-{hashlib.sha256(schema).hexdigest()[:16]}"
        return Path(tempfile.gettempdir()) / name

    def __post_init__(self) -> None:
        """Check what the types do not say. Raises ValueError."""
        _check_endpoints(self.endpoints)
        for name in ("bucket", "schema"):
            value = getattr(self, name)
            if not _NAME.fullmatch(value):
                raise ValueError(f"{name}: expected letters, digits, `-` and `_`, got {value!r}")
        for name, most in (("shards", 4096), ("retries", 100), ("batch_rows", _MOST_ROWS)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise ValueError(f"{name}: expected 1 to {most}, got {value}")
        for name in ("timeout", "patience"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name}: expected more than 0, got {value}")
        if self.ca_bundle is not None and not self.verify:
            raise ValueError("ca_bundle: is not read with verify = false")


def _check_endpoints(endpoints: Sequence[str]) -> None:
    if not endpoints:
        raise ValueError("endpoints: expected at least one URL as http://vast.example.com")
    for one in endpoints:
        if not _is_endpoint(one):
            raise ValueError(f"endpoints: {one!r} is no URL as http://vast.example.com")
    if len({one.rstrip("/") for one in endpoints}) < len(endpoints):
        raise ValueError("endpoints: expected each URL once")


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.username is None
            and (parts.port is None or parts.port > 0)
            and parts.path in ("", "/")
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        return False
