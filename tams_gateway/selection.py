"""The plugins that a config selects: imported, their options checked, none opened yet."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from tams_gateway.auth.provider import AuthProvider
from tams_gateway.config_file import ConfigError
from tams_gateway.events.sink import EventSink
from tams_gateway.plugin.loader import Plugin, PluginError, load
from tams_gateway.plugin.provider import Blocks, Provider
from tams_gateway.sections import convert
from tams_gateway.settings import ObjectsSection, ObjectsSettings, PluginSection, Settings
from tams_gateway.storage.metadata import MetadataStore
from tams_gateway.storage.objects import ObjectStore

T = TypeVar("T")


class Selected(msgspec.Struct, Generic[T], frozen=True):
    """One plugin that a section of the config selects, and its options as its own struct."""

    key: str
    """The section: `metadata`, `objects.main`, `auth[0]`."""
    plugin: str
    provider: Provider[T]
    options: msgspec.Struct

    @property
    def shared(self) -> bool:
        """Whether several processes may open it at once."""
        return self.provider.is_shared(self.options)


class Selection(msgspec.Struct, frozen=True):
    """All plugins of a config, each in its place."""

    metadata: Selected[MetadataStore]
    objects: tuple[tuple[ObjectsSection, Selected[ObjectStore]], ...]
    auth: tuple[Selected[AuthProvider], ...]
    events: tuple[Selected[EventSink], ...]

    def __iter__(self) -> Iterator[Selected[Any]]:
        """Go through all of them, in the order in which they are opened."""
        yield self.metadata
        yield from (selected for _, selected in self.objects)
        yield from self.auth
        yield from self.events

    @property
    def blocks(self) -> Blocks:
        """Which requests may have to wait for a plugin, and need a thread in ASGI."""
        found = {one.provider.blocks for one in self if one not in self.events}
        return True if True in found else "writes" if "writes" in found else False

    def check_workers(self, workers: int) -> None:
        """Refuse more worker processes than the plugins allow. Raises `ConfigError`."""
        for selected in self:
            if workers > 1 and not selected.shared:
                raise ConfigError(
                    f"{selected.key}: plugin {selected.plugin!r} keeps its data in one process; "
                    f"expected 1 worker, got {workers}"
                )


def select(settings: Settings) -> Selection:
    """Import the plugins of a config and check their options.

    Raises `ConfigError` for a plugin that is missing or unusable, and for options that it does
    not know or that are wrong.
    """
    source = settings.source
    return Selection(
        metadata=_select(source, settings.metadata, Plugin.metadata_store),
        objects=tuple(
            (section, _select(source, section, Plugin.object_store)) for section in settings.objects
        ),
        auth=tuple(_select(source, section, Plugin.auth_provider) for section in settings.auth),
        events=tuple(_select(source, section, Plugin.event_sink) for section in settings.events),
    )


def _select(
    source: str, section: PluginSection | ObjectsSection, hook: Callable[[Plugin], Provider[T]]
) -> Selected[T]:
    try:
        provider = hook(load(section.plugin))
    except PluginError as error:
        raise ConfigError(f"{source}: {section.key}.plugin: {error}") from error
    options = dict(section.options)
    if isinstance(section, ObjectsSection):
        options |= _common(section, provider.settings)
    return Selected(
        key=section.key,
        plugin=section.plugin,
        provider=provider,
        options=convert(options, provider.settings, source, section.key),
    )


def _common(section: ObjectsSection, struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Return what is set of every backend's keys that the plugin has as well, such as a region."""
    wanted = set(struct.__struct_encode_fields__) & set(ObjectsSettings.__struct_fields__)
    return {name: value for name in wanted if (value := getattr(section, name))}
