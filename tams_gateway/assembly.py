"""Settings and plugins become a gateway: the one place that knows everybody."""

import functools
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeVar

import msgspec
import structlog

from tams_gateway.auth.access import Policy
from tams_gateway.auth.chain import Chain
from tams_gateway.auth.journal import AuthEntry
from tams_gateway.auth.principal import Principal
from tams_gateway.config_file import ConfigError
from tams_gateway.domain.health import Health
from tams_gateway.events.event import Event
from tams_gateway.events.rendering import Render, Shape
from tams_gateway.events.sink import DeliversWebhooks, EventSink
from tams_gateway.http import health
from tams_gateway.http.routes import ROUTES, Route, with_plugins
from tams_gateway.jobs.runner import Runner
from tams_gateway.operations import auth_log, keys, known_backends, payloads
from tams_gateway.operations.answers import Answers
from tams_gateway.operations.audit import Audit
from tams_gateway.operations.event_feed import EventFeed
from tams_gateway.operations.gateway import Backend, Gateway, Service
from tams_gateway.plugin.commands import Bench
from tams_gateway.plugin.provider import Context, render_nothing
from tams_gateway.selection import Selected, Selection, select
from tams_gateway.settings import ObjectsSection, Settings
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.key_ring import KeyRing
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore


class Opened(Protocol):
    """What every kind of plugin opens."""

    def check(self) -> Health:
        """Make one round trip and say what was found; does not raise."""

    def close(self) -> None:
        """Release what is held; no call follows."""


T = TypeVar("T", bound=Opened)


class Assembly:
    """All that one process serves with. `assemble` makes it, and it takes over the stack.

    `blocks` tells which requests may have to wait for a plugin, and need a thread in ASGI. `opened`
    holds what the plugins opened, by the key of their section, in that order.
    """

    def __init__(self, settings: Settings, selection: Selection, closing: ExitStack) -> None:
        opener = _Opener(settings, closing, self._render)
        metadata = opener.open(selection.metadata, selection.metadata.plugin)
        opener.metadata = metadata
        backends = [
            _backend(section, opener.open(selected, section.name))
            for section, selected in selection.objects
        ]
        self.settings = settings
        self.blocks = selection.blocks
        self.chain = Chain(
            [opener.open(one, one.plugin) for one in selection.auth],
            settings.rates,
            functools.partial(_note, metadata),
        )
        self.sinks: Mapping[str, EventSink] = {
            name: opener.open(one, name)
            for name, one in zip(_names(selection.events), selection.events, strict=True)
        }
        self.opened: Mapping[str, Opened] = opener.opened
        self.routes = _routes(settings, self.opened)
        audit = _audit(metadata, settings)
        self.gateway = Gateway(
            metadata=metadata if audit is None else audit.store,
            backends={backend.id: backend for backend in backends},
            limits=settings.limits,
            service=Service(settings.service.name, settings.service.description),
            now_ns=time.time_ns,
            listening=bool(self.sinks),
            sinks=self.sinks,
            webhooks=_webhooks(self.sinks),
            feed=_feed(metadata, settings) if self.sinks else None,
            audit=audit,
            policy=Policy(settings.access),
            wake=self._wake,
            answers=Answers(metadata, settings.limits.kept_bytes),
        )
        self._runner = Runner(self.gateway)
        self._closing = closing.pop_all()

    def start(self) -> None:
        """Begin to work in the background; called once, in the process that serves."""
        log = structlog.get_logger("tams_gateway")
        known_backends.note(self.gateway)
        for gone in known_backends.missing(self.gateway):
            log.error("storage_backend_missing", storage_id=gone.id, label=gone.label)
        if self.chain.open:
            log.warning(
                "open_mode",
                serves="anybody" if self.settings.service.auth_open else "this machine",
                remedy="configure [[auth]]: without it whoever is served reads, writes and deletes",
            )
        self._runner.start()
        self._closing.callback(self._runner.stop)
        log.info("started", config=self.settings.source, plugins=list(self.opened))

    def _wake(self) -> None:
        self._runner.wake()

    def _render(self, event: Event, shape: Shape, principal: Principal) -> bytes | None:
        base = self.settings.service.public_url
        shown = shape if base is None else msgspec.structs.replace(shape, base=base)
        return payloads.render(self.gateway, event, shown, principal)

    def close(self) -> None:
        """Close all that was opened, the last first; the metadata store goes at the end."""
        self._closing.close()


def assemble(settings: Settings) -> Assembly:
    """Open every plugin of the config, the metadata store first, and build the gateway on them.

    Raises `ConfigError`, and leaves nothing open, if a plugin cannot be had or does not open.
    """
    selection = select(settings)
    with ExitStack() as closing:
        return Assembly(settings, selection, closing)


@contextmanager
def bench(settings: Settings, plugin: str, store: bool = True) -> Iterator[Bench]:
    """Open the metadata store alone, for a command of that plugin. Raises `ConfigError`.

    Without `store` not even that: the command gets its options.
    """
    selection = select(settings)
    if store and not selection.metadata.shared:
        name = selection.metadata.plugin
        raise ConfigError(f"metadata: plugin {name!r} keeps its data in one process")
    with ExitStack() as closing:
        opener = _Opener(settings, closing)
        if store:
            opener.metadata = opener.open(selection.metadata, selection.metadata.plugin)
        options = [one.options for one in selection if one.plugin == plugin]
        yield Bench(opener.context(plugin, plugin), options)


class _Opener:
    """Opens plugins in turn, each with its context, and notes how to close them."""

    def __init__(
        self, settings: Settings, closing: ExitStack, render: Render = render_nothing
    ) -> None:
        self.metadata: MetadataStore | None = None
        self.opened: dict[str, Opened] = {}
        self._source = settings.source
        self._url_lifetime = settings.limits.url_lifetime
        self._closing = closing
        self._render = render

    def open(self, selected: Selected[T], name: str) -> T:
        """Open a plugin; `name` is what its context calls it. Raises `ConfigError`."""
        context = self.context(name, selected.plugin)
        try:
            opened = selected.provider.open(selected.options, context)
        except (StoreError, OSError, ValueError, ImportError) as error:
            reason = str(error) or type(error).__name__
            raise ConfigError(f"{self._source}: {selected.key}: {reason}") from error
        self._closing.callback(opened.close)
        self.opened[selected.key] = opened
        return opened

    def context(self, name: str, plugin: str) -> Context:
        """Return the context of a plugin."""
        return Context(
            name=name,
            log=structlog.get_logger("tams_gateway.plugin").bind(plugin=plugin),
            now=time.time,
            url_lifetime=self._url_lifetime,
            keys=functools.cache(functools.partial(_ring, self.metadata)),
            metadata=self.metadata,
            note=functools.partial(_note, self.metadata),
            render=self._render,
        )


def _ring(metadata: MetadataStore | None, name: str) -> KeyRing:
    if metadata is None:
        raise RuntimeError("a metadata store gets no keys: they are kept in it")
    return keys.ring(metadata, time.time_ns, name)


def _note(metadata: MetadataStore | None, entry: AuthEntry) -> None:
    if metadata is None:
        raise RuntimeError("a metadata store notes nothing: the log is kept in it")
    auth_log.note(metadata, time.time_ns, entry)


def _routes(settings: Settings, opened: Mapping[str, object]) -> Sequence[Route]:
    """Return all routes that the process serves. Raises `ConfigError` where two are on one path."""
    try:
        return with_plugins((*ROUTES, *health.routes()), opened)
    except ValueError as error:
        raise ConfigError(f"{settings.source}: {error}") from error


def _audit(metadata: MetadataStore, settings: Settings) -> Audit | None:
    wanted = settings.service.audit
    if wanted is None:
        wanted = bool(settings.auth)
    return Audit(metadata, time.time_ns) if wanted else None


def _feed(metadata: MetadataStore, settings: Settings) -> EventFeed:
    ring = keys.ring(metadata, time.time_ns, "events")
    return EventFeed(metadata, ring, settings.limits.event_streams)


def _webhooks(sinks: Mapping[str, EventSink]) -> DeliversWebhooks | None:
    """Return the sink that delivers webhooks. Raises `ConfigError` for a second one."""
    found = [(name, sink) for name, sink in sinks.items() if isinstance(sink, DeliversWebhooks)]
    if len(found) > 1:
        names = " and ".join(name for name, _ in found)
        raise ConfigError(f"events: {names} would both deliver every webhook: leave out one")
    return found[0][1] if found else None


def _names(sinks: Sequence[Selected[EventSink]]) -> list[str]:
    """Name each sink by its plugin and, from the second of one plugin on, its number.

    The name is that of the sink's cursor: another sink in front of it must not change it.
    """
    met: Counter[str] = Counter()
    names = []
    for sink in sinks:
        met[sink.plugin] += 1
        number = met[sink.plugin]
        names.append(sink.plugin if number == 1 else f"{sink.plugin}-{number}")
    return names


def _backend(section: ObjectsSection, store: ObjectStore) -> Backend:
    """Return an opened object store as a TAMS storage backend (R-STB-01)."""
    product = store.describe()
    verbose: dict[str, object] = {
        "store_type": "http_object_store",
        "provider": section.provider or product.provider,
        "store_product": section.store_product or product.store_product,
        "region": section.region or product.region,
        "availability_zone": section.availability_zone or product.availability_zone,
        "tags": section.tags or None,
    }
    verbose = {key: value for key, value in verbose.items() if value is not None}
    return Backend(
        id=section.id,
        name=section.name,
        label=section.label,
        default=section.default,
        tags=section.tags,
        store=store,
        document={
            "id": section.id,
            "label": section.label,
            "default_storage": section.default,
            **verbose,
        },
        verbose=verbose,
        template=section.template,
        prefix=section.prefix,
        most_urls=section.most_urls,
    )
