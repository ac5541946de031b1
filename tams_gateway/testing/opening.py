"""Opens the plugin that is to be proven, by its name, as the gateway does."""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

import msgspec
import pytest
import structlog

from tams_gateway.config_file import Override
from tams_gateway.plugin.loader import Plugin, load
from tams_gateway.plugin.provider import Context, Provider
from tams_gateway.sections import convert
from tams_gateway.storage.key_ring import Key, KeyRing

T = TypeVar("T")

_URL_LIFETIME: Final = 3600


def _keys(name: str) -> KeyRing:
    """Return a ring of one key, the same in every process."""
    return KeyRing(lambda: [Key("kit", hashlib.sha256(name.encode()).digest())])


class Opener(msgspec.Struct, Generic[T], frozen=True):
    """Opens a store, each time once more, here or in another process: it can be pickled.

    `hook` is what the plugin must have, `Plugin.metadata_store` or `Plugin.object_store`;
    `options` are those of its section, as texts.
    """

    hook: Callable[[Plugin], Provider[T]]
    plugin: str
    options: Mapping[str, str] = {}

    def __call__(self) -> T:
        """Return the store, open. Raises what the plugin's `open` raises, and as `settings`."""
        context = Context(
            name=self.plugin,
            log=structlog.get_logger("tams_gateway.plugin").bind(plugin=self.plugin),
            now=time.time,
            url_lifetime=_URL_LIFETIME,
            keys=_keys,
        )
        return self.provider().open(self.settings(), context)

    def provider(self) -> Provider[T]:
        """Return what the plugin registers. Raises `PluginError`."""
        return self.hook(load(self.plugin))

    def settings(self) -> msgspec.Struct:
        """Return the options as the plugin's own struct. Raises `PluginError`, `ConfigError`."""
        texts = {key: Override(text, f"--tams-option {key}") for key, text in self.options.items()}
        return convert(texts, self.provider().settings, "the command line", self.plugin)

    def shared(self) -> "Opener[T]":
        """Return this, or skip the clause if only one process may open the store."""
        if not self.provider().shared:
            pytest.skip("its provider says shared=False: its data live in one process")
        return self
