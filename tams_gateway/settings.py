"""The config file as frozen structs: TOML, environment overrides, secrets."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tams_gateway.operations.gateway import Limits


class ServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[service]` section."""

    name: str | None = None
    description: str | None = None
    public_url: str | None = None
    """The URL under which clients reach the API, with its base path; None: the request's own."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose `Forwarded` and `X-Forwarded-*` headers count."""
    cors_origins: tuple[str, ...] | None = None
    """Origins that browsers may call from; None: `*` with an auth provider, else this machine."""
    auth_open: bool = False
    """Serve without credentials to more than this machine."""


class ServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[serve]` section; the options of `tams-gateway serve` win over it."""

    host: str = "127.0.0.1"
    port: int = 4010
    workers: int = 1
    threads: int = 64
    server: str = "uvicorn"


class PluginSection(msgspec.Struct, frozen=True):
    """A section that selects a plugin: its name, and its own options, still unchecked."""

    plugin: str
    options: Mapping[str, Any]


class ObjectsSection(msgspec.Struct, frozen=True):
    """An `[objects.NAME]` section: what every storage backend has, and the plugin's options."""

    name: str
    plugin: str
    id: str
    label: str
    default: bool
    tags: Mapping[str, str | list[str]]
    template: str
    provider: str | None
    store_product: str | None
    region: str | None
    availability_zone: str | None
    options: Mapping[str, Any]


class Settings(msgspec.Struct, frozen=True):
    """The whole config, defaults filled in."""

    service: ServiceSettings
    serve: ServeSettings
    limits: Limits
    metadata: PluginSection
    objects: tuple[ObjectsSection, ...]
    auth: tuple[PluginSection, ...]
    events: tuple[PluginSection, ...]
    source: str
    """Where the config came from, for messages: a path, or `embedded default`."""
