"""Opens the plugin that is to be proven, by its name, as the gateway does."""

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec
import pytest
import structlog

from tams_gateway.config_file import Override
from tams_gateway.plugin.loader import Plugin, load
from tams_gateway.plugin.provider import Context, Provider
from tams_gateway.sections import convert
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.key_ring import Key, KeyRing
from tams_gateway.storage.metadata import MetadataStore

T = TypeVar("T")

_URL_LIFETIME: Final = 3600


def _keys(name: str) -> KeyRing:
    """Return a ring of one key, the same in every process."""
    return KeyRing(lambda: [Key("kit", hashlib.sha256(name.encode()).digest())])


class DeadStore:
    """A metadata store that at some time answers nothing any more."""

    def __init__(self, store: MetadataStore) -> None:
        self.dead = False
        self._store = store

    def __getattr__(self, name: str) -> Any:
        """Return a method of the store. Raises `StoreError`."""
        if self.dead and name != "close":
            raise StoreError("the metadata store is away, as the clause wants it")
        return getattr(self._store, name)


def placed(options: Mapping[str, str], place: Path) -> dict[str, str]:
    """Return options with `{tmp}` as this directory, and `{unique}` as a name of its own."""
    values = {"{tmp}": str(place), "{unique}": f"k{uuid.uuid4().hex[:12]}"}
    given = dict(options)
    for name, value in values.items():
        given = {key: text.replace(name, value) for key, text in given.items()}
    return given


class Opener(msgspec.Struct, Generic[T], frozen=True):
    """Opens a plugin, each time once more, here or in another process: it can be pickled.

    `hook` is what the plugin must have, such as `Plugin.metadata_store`; `options` are those of its
    section, as texts. `beside` is the metadata store that its context has.
    """

    hook: Callable[[Plugin], Provider[T]]
    plugin: str
    options: Mapping[str, str] = {}
    beside: "Opener[MetadataStore] | None" = None

    def __call__(self) -> T:
        """Return it, open. Raises what the plugin's `open` raises, and as `settings`."""
        return self._opened(None if self.beside is None else self.beside())

    def on_a_dead_store(self) -> T:
        """Return it, open, when its metadata store has come to answer nothing."""
        store = None if self.beside is None else DeadStore(self.beside())
        opened = self._opened(store)
        if store is not None:
            store.dead = True
        return opened

    def _opened(self, metadata: MetadataStore | None) -> T:
        context = Context(
            name=self.plugin,
            log=structlog.get_logger("tams_gateway.plugin").bind(plugin=self.plugin),
            now=time.time,
            url_lifetime=_URL_LIFETIME,
            keys=_keys,
            metadata=metadata,
        )
        return self.provider().open(self.settings(), context)

    def provider(self) -> Provider[T]:
        """Return what the plugin registers. Raises `PluginError`."""
        return self.hook(load(self.plugin))

    def settings(self) -> msgspec.Struct:
        """Return the options as the plugin's own struct. Raises `PluginError`, `ConfigError`."""
        texts = {key: Override(text, f"--tams-option {key}") for key, text in self.options.items()}
        return convert(texts, self.provider().settings, "the command line", self.plugin)

    def is_shared(self) -> bool:
        """Whether several processes may open it at once. Raises as `provider` and `settings`."""
        return self.provider().is_shared(self.settings())

    def shared(self) -> "Opener[T]":
        """Return this, or skip the clause if only one process may open the store."""
        if not self.is_shared():
            pytest.skip("its provider says shared=False: its data live in one process")
        return self
