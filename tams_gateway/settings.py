"""The config as frozen structs, checked as a whole: `load` reads a file and the environment."""

import ipaddress
import re
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from tams_gateway import config_file
from tams_gateway.auth.access import AccessSettings
from tams_gateway.auth.rates import RateSettings
from tams_gateway.config_file import Override, Table
from tams_gateway.domain.identifiers import is_uuid
from tams_gateway.domain.object_key import DEFAULT_TEMPLATE, check_template
from tams_gateway.operations.gateway import Limits
from tams_gateway.sections import convert, mistake, value_of

Positive = Annotated[int, msgspec.Meta(ge=1)]

_NO_BOUND = float("inf")

STORAGE_IDS: Final = uuid.UUID("5d2f0c1e-6f1b-5c8e-9d43-7a1f4e0b2c96")
"""The namespace in which the ids of storage backends are derived from their sections' names."""


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
    audit: bool | None = None
    """Keep an audit trail of writes; None: where an auth provider tells who writes."""
    auth_open: bool = False
    """Serve without credentials to more than this machine."""

    def __post_init__(self) -> None:
        """Check what the types do not say. Raises ValueError."""
        for network in self.trusted_proxies:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as error:
                reason = f"expected addresses or networks as 10.0.0.0/8, got {network!r}"
                raise ValueError(f"trusted_proxies: {reason}") from error
        for origin in self.cors_origins or ():
            if origin != "*" and not _is_url(origin, path=False):
                reason = f"expected * or origins as https://example.com, got {origin!r}"
                raise ValueError(f"cors_origins: {reason}")
        if self.public_url is not None:
            if not _is_url(self.public_url, path=True):
                reason = f"expected a URL as https://example.com/tams, got {self.public_url!r}"
                raise ValueError(f"public_url: {reason}")
            msgspec.structs.force_setattr(self, "public_url", self.public_url.rstrip("/"))


class ServeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[serve]` section; the options of `tams-gateway serve` win over it."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 4010
    workers: Positive = 1
    threads: Positive = 64
    server: Literal["uvicorn", "gunicorn", "granian"] = "uvicorn"


class Options(dict[str, Any]):
    """Options of a plugin, still unchecked; it shows their names alone, since some are secrets."""

    def __repr__(self) -> str:
        return f"Options({', '.join(self)})"


class PluginSection(msgspec.Struct, frozen=True):
    """A section that selects a plugin: its name, and its own options, still unchecked."""

    plugin: str
    options: Options
    key: str
    """Where it stands in the config, for messages: `metadata`, `auth[0]`."""


class ObjectsSettings(msgspec.Struct, frozen=True):
    """What every `[objects.NAME]` section may say beside the options of its plugin."""

    plugin: str
    id: str = ""
    label: str = ""
    default: bool | None = None
    tags: Mapping[str, str | list[str]] = {}
    template: str = DEFAULT_TEMPLATE
    prefix: str = ""
    provider: str | None = None
    store_product: str | None = None
    region: str | None = None
    availability_zone: str | None = None
    most_urls: Positive = 2

    def __post_init__(self) -> None:
        """Check what the types do not say. Raises ValueError."""
        if self.id and not is_uuid(self.id):
            raise ValueError(f"id: expected a UUID in lower case, got {self.id!r}")
        if re.fullmatch(r"([A-Za-z0-9_=~-][A-Za-z0-9._=~-]*(/|\Z))*", self.prefix) is None:
            reason = "expected names of letters, digits, . _ = ~ - with / between them"
            raise ValueError(f"prefix: {reason}, got {self.prefix!r}")
        check_template(self.template, bool(self.prefix))


class ObjectsSection(ObjectsSettings, frozen=True, kw_only=True):
    """An `[objects.NAME]` section: id, label and default filled in, and the plugin's options."""

    name: str
    default: bool
    options: Options

    @property
    def key(self) -> str:
        """Where it stands in the config, for messages."""
        return f"objects.{self.name}"


class Settings(msgspec.Struct, frozen=True):
    """The whole config, defaults filled in."""

    service: ServiceSettings
    serve: ServeSettings
    limits: Limits
    access: AccessSettings
    rates: RateSettings
    metadata: PluginSection
    objects: tuple[ObjectsSection, ...]
    auth: tuple[PluginSection, ...]
    events: tuple[PluginSection, ...]
    source: str
    """Where the config came from, for messages: a path, or `embedded default`."""


def load(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Return the settings of a config file, under the overrides of the environment.

    The path wins over the variable `TAMS_GATEWAY_CONFIG`; with neither, the embedded default
    holds. Raises `ConfigError`: one line with the file (or the variable), the key, and what was
    expected. The options of plugins are checked when their plugins are opened.
    """
    document, source = config_file.read(path, env)
    return _Reader(document, source, env).settings()


class _Reader:
    """Turns the tables of one config into settings."""

    def __init__(self, document: Table, source: str, env: Mapping[str, str]) -> None:
        self._document = document
        self._source = source
        self._env = env

    def settings(self) -> Settings:
        sections = Settings.__struct_fields__[:-1]
        for name, value in self._document.items():
            if name not in sections:
                reason = f"unknown section; expected one of {', '.join(sections)}"
                raise mistake(self._source, name, reason, value)
        return Settings(
            service=convert(self._table("service"), ServiceSettings, self._source, "service"),
            serve=convert(self._table("serve"), ServeSettings, self._source, "serve"),
            limits=self._limits(),
            access=convert(self._table("access"), AccessSettings, self._source, "access"),
            rates=convert(self._table("rates"), RateSettings, self._source, "rates"),
            metadata=self._plugin(self._document["metadata"], "metadata"),
            objects=self._backends(),
            auth=self._plugins("auth"),
            events=self._plugins("events"),
            source=self._source,
        )

    def _table(self, name: str) -> Table:
        return self._checked(self._document.get(name, {}), name)

    def _checked(self, section: Any, key: str) -> Table:
        if not isinstance(section, dict):
            raise mistake(self._source, key, f"expected a section, [{key}]", section)
        return section

    def _limits(self) -> Limits:
        table = self._table("limits")
        limits = convert(table, Limits, self._source, "limits")
        least = {
            "async_deletion_threshold": 0,
            "kept_bytes": 0,
            "require_upload": False,
            "min_presigned_url_timeout": 30,
            "min_object_timeout": max(300, limits.min_presigned_url_timeout),
        }
        most = {"page_default": limits.page_max, "objects_default": limits.objects_max}
        for name in Limits.__struct_fields__:
            value, low, high = getattr(limits, name), least.get(name, 1), most.get(name, _NO_BOUND)
            if not low <= value <= high:
                bounds = f"at least {low}" if value < low else f"at most {high}"
                reason = f"expected {bounds}, got {value}"
                raise mistake(self._source, f"limits.{name}", reason, table.get(name))
        return limits

    def _plugins(self, name: str) -> tuple[PluginSection, ...]:
        tables = self._document.get(name, [])
        if not isinstance(tables, list):
            reason = f"expected [[{name}]], with two brackets: there may be several"
            raise mistake(self._source, name, reason, tables)
        return tuple(self._plugin(table, f"{name}[{at}]") for at, table in enumerate(tables))

    def _plugin(self, table: Any, key: str) -> PluginSection:
        table = self._selecting(table, key)
        name = value_of(table["plugin"], str, self._source, f"{key}.plugin")
        return PluginSection(name, self._options(table, {"plugin"}, key), key)

    def _selecting(self, section: Any, key: str) -> Table:
        """Return a section that selects a plugin, as it must."""
        table = self._checked(section, key)
        if "plugin" not in table:
            made_by_variables = all(isinstance(value, Override) for value in table.values())
            culprit = table if made_by_variables else None
            reason = f"[{key}] names no plugin; expected the key plugin"
            raise mistake(self._source, f"{key}.plugin", reason, culprit)
        return table

    def _options(self, table: Table, common: Collection[str], key: str) -> Options:
        where = f"{self._source}: {key}"
        return Options(
            {
                name: config_file.resolved(value, self._env, f"{where}.{name}")
                for name, value in table.items()
                if name not in common
            }
        )

    def _backends(self) -> tuple[ObjectsSection, ...]:
        tables = self._table("objects")
        backends = [self._backend(name, table) for name, table in tables.items()]
        marked = [backend.name for backend in backends if backend.default]
        if len(marked) != 1:
            reason = f"expected default = true in exactly one section, got {len(marked)}"
            raise mistake(self._source, "objects", reason)
        for field in ("id", "label"):
            seen: dict[str, str] = {}
            for backend in backends:
                other = seen.setdefault(getattr(backend, field), backend.key)
                if other != backend.key:
                    reason = f"{getattr(backend, field)!r} is also that of {other}"
                    raise mistake(self._source, f"{backend.key}.{field}", reason)
        return tuple(backends)

    def _backend(self, name: str, table: Any) -> ObjectsSection:
        key = f"objects.{name}"
        table = self._selecting(table, key)
        if re.fullmatch(r"[A-Za-z0-9_-]+", name) is None:
            raise mistake(self._source, key, "expected a name of letters, digits, - and _", table)
        common = ObjectsSettings.__struct_fields__
        own = {field: value for field, value in table.items() if field in common}
        said = convert(own, ObjectsSettings, self._source, key)
        fields = {field: getattr(said, field) for field in common}
        single = len(self._document["objects"]) == 1
        fields |= {
            "id": said.id or str(uuid.uuid5(STORAGE_IDS, name)),
            "label": said.label or name,
            "default": single if said.default is None else said.default,
        }
        return ObjectsSection(name=name, options=self._options(table, common, key), **fields)


def _is_url(text: str, *, path: bool) -> bool:
    """Whether the text is an http(s) URL without query and fragment, and perhaps with a path."""
    try:
        url = urlsplit(text)
        host = url.hostname and url.port != 0
    except ValueError:
        return False
    plain = (
        re.fullmatch(r"[!-~]+", text) and not url.query and not url.fragment and not url.username
    )
    return bool(url.scheme in ("http", "https") and host and plain and (path or not url.path))
