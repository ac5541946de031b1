"""The assembly opens what the config selects, in order, and closes it in reverse."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.assembly import Assembly, assemble
from tams_gateway.auth.principal import ANYBODY
from tams_gateway.auth.provider import Credentials
from tams_gateway.config_file import ConfigError
from tams_gateway.domain.health import Health
from tams_gateway.operations import keys
from tams_gateway.plugin import Context, PluginRoute, Provider, Request, Response
from tams_gateway.plugin.loader import Plugin, PluginError
from tams_gateway.plugin.provider import Blocks
from tams_gateway.selection import select
from tams_gateway.settings import Settings, load
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.objects import Product

Load = Callable[[str], Settings]

CONFIG = """
[service]
name = "Studio"
[metadata]
plugin = "one"
[objects.main]
plugin = "one"
default = true
region = "here"
prefix = "kept"
tags = { tier = "fast" }
[objects.archive]
plugin = "one"
label = "Archive"
provider = "ours"
[[auth]]
plugin = "one"
[[events]]
plugin = "one"
"""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: str = "there"
    path: str = "data"


class Opened(MemoryMetadata):
    """Plays every part; tells the world of its opening and its end."""

    challenge = "None"

    def __init__(self, world: "World", options: Options, context: Context) -> None:
        super().__init__()
        self.options = options
        self.context = context
        self._world = world
        world.told.append(f"open {context.name}")
        world.opened.append(self)
        if context.name in world.routes:
            self.routes = lambda: world.routes[context.name]
        if context.name == world.fails:
            raise world.error

    def describe(self) -> Product:
        return Product("somebody", "memory", availability_zone="zone 1")

    def authenticate(self, credentials: Credentials) -> None:
        return None

    def check(self) -> Health:
        return Health(True, "fine")

    def close(self) -> None:
        self._world.told.append(f"close {self.context.name}")


@dataclass
class World:
    """A plugin `one` for every section, and what has become of it."""

    told: list[str] = field(default_factory=list)
    opened: list[Opened] = field(default_factory=list)
    fails: str = ""
    error: Exception = field(default_factory=lambda: StoreError("no room:\n buy disks"))
    shared: bool | Callable[[msgspec.Struct], bool] = True
    blocks: Blocks = False
    routes: dict[str, list[PluginRoute]] = field(default_factory=dict)

    def plugin(self, name: str) -> Plugin:
        if name != "one":
            raise PluginError(f"no plugin {name!r}; installed: one")
        provider: Provider[Any] = Provider(
            "one",
            Options,
            lambda options, context: Opened(self, options, context),
            "All.",
            api=1,
            shared=self.shared,
            blocks=self.blocks,
        )
        sections = ("[metadata]", "[objects.NAME]", "[[auth]]", "[[events]]")
        return Plugin("one", dict.fromkeys(sections, provider), [])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr("tams_gateway.selection.load", world.plugin)
    return world


@pytest.fixture
def settings(tmp_path: Path) -> Load:
    def load_text(text: str) -> Settings:
        path = tmp_path / "tams.toml"
        path.write_text(text)
        return load(path, {})

    return load_text


@pytest.fixture
def assembly(world: World, settings: Load) -> Assembly:
    return assemble(settings(CONFIG))


def test_the_metadata_store_opens_first_and_closes_last(assembly: Assembly, world: World) -> None:
    assert world.told == ["open one", "open main", "open archive", "open one", "open one"]
    world.told.clear()
    assembly.close()
    assert world.told == ["close one", "close one", "close archive", "close main", "close one"]


def test_what_was_opened_is_closed_when_a_later_one_fails(world: World, settings: Load) -> None:
    world.fails = "archive"
    with pytest.raises(ConfigError) as caught:
        assemble(settings(CONFIG))
    assert str(caught.value).endswith("tams.toml: objects.archive: no room: buy disks")
    assert world.told[-2:] == ["close main", "close one"]


@pytest.mark.parametrize("error", [OSError(13, "denied"), ValueError("odd"), ImportError("boto3")])
def test_whatever_a_plugin_lacks_at_opening_is_told_in_one_line(
    world: World, settings: Load, error: Exception
) -> None:
    world.fails, world.error = "main", error
    with pytest.raises(ConfigError, match=r"objects\.main: ") as caught:
        assemble(settings(CONFIG))
    assert "\n" not in str(caught.value)


def test_nothing_is_opened_before_all_options_are_checked(world: World, settings: Load) -> None:
    with pytest.raises(ConfigError, match=r"tams\.toml: events\[0\]\.pth: unknown key"):
        assemble(settings(CONFIG + "pth = 'a'"))
    assert world.told == []


def test_a_missing_plugin_is_told_with_file_and_key(world: World, settings: Load) -> None:
    text = CONFIG.replace('[[auth]]\nplugin = "one"', '[[auth]]\nplugin = "two"')
    with pytest.raises(ConfigError, match=r"tams\.toml: auth\[0\]\.plugin: no plugin 'two'"):
        assemble(settings(text))


def test_options_of_the_wrong_type_are_told_with_file_and_key(world: World, settings: Load) -> None:
    with pytest.raises(ConfigError, match=r"events\[0\]\.path: expected text, got integer$"):
        assemble(settings(CONFIG + "path = 1"))


def test_all_but_the_metadata_store_get_the_metadata_store(
    assembly: Assembly, world: World
) -> None:
    assert world.opened[0].context.metadata is None
    for opened in world.opened[1:]:
        assert opened.context.metadata is world.opened[0]


def test_a_plugin_gets_its_options_and_those_of_the_backend_that_it_names(
    assembly: Assembly, world: World
) -> None:
    _, main, archive, *_ = world.opened
    assert main.options == Options(region="here")
    assert archive.options == Options(region="there")


def test_backends_are_shown_as_configured_and_else_as_the_store_says(assembly: Assembly) -> None:
    """R-STB-01, R-STB-02."""
    main, archive = assembly.gateway.backends.values()
    shown = {
        "store_type": "http_object_store",
        "provider": "somebody",
        "store_product": "memory",
        "region": "here",
        "availability_zone": "zone 1",
        "tags": {"tier": "fast"},
    }
    assert main.verbose == shown
    assert main.document == {"id": main.id, "label": "main", "default_storage": True, **shown}
    assert archive.document == {
        "id": archive.id,
        "label": "Archive",
        "default_storage": False,
        "store_type": "http_object_store",
        "provider": "ours",
        "store_product": "memory",
        "availability_zone": "zone 1",
    }
    assert assembly.gateway.default_backend is main
    assert (main.prefix, archive.prefix) == ("kept", "")


def test_events_are_written_only_if_somebody_listens(
    assembly: Assembly, world: World, settings: Load
) -> None:
    assert assembly.gateway.listening
    assert not assemble(settings('[metadata]\nplugin = "one"\n[objects.a]\nplugin = "one"')).sinks


def test_without_auth_providers_the_gateway_is_open(world: World, settings: Load) -> None:
    assembly = assemble(settings(CONFIG.replace('[[auth]]\nplugin = "one"', "")))
    assert assembly.chain.authenticate(Credentials(None, None, {}, "")) == ANYBODY


def test_one_plugin_that_waits_makes_requests_block(world: World, settings: Load) -> None:
    found = []
    waits: tuple[Blocks, ...] = (False, "writes", True)
    for world.blocks in waits:
        for other in waits:
            selection = select(settings(CONFIG))
            metadata = selection.metadata
            provider = msgspec.structs.replace(metadata.provider, blocks=other)
            metadata = msgspec.structs.replace(metadata, provider=provider)
            found.append(msgspec.structs.replace(selection, metadata=metadata).blocks)

    assert [False, "writes", True, "writes", "writes", True, True, True, True] == found


def test_several_workers_are_refused_on_data_of_one_process(world: World, settings: Load) -> None:
    select(settings(CONFIG)).check_workers(4)
    world.shared = False
    selection = select(settings(CONFIG))
    selection.check_workers(1)
    with pytest.raises(ConfigError) as caught:
        selection.check_workers(2)
    assert str(caught.value) == (
        "metadata: plugin 'one' keeps its data in one process; expected 1 worker, got 2"
    )


def test_options_may_decide_whether_data_live_in_one_process(world: World, settings: Load) -> None:
    ours = select(settings(CONFIG)).metadata.options
    world.shared = lambda options: options is not None and options != ours
    with pytest.raises(ConfigError, match="metadata: plugin 'one' keeps its data in one process"):
        select(settings(CONFIG)).check_workers(2)
    world.shared = lambda options: options == ours
    assert select(settings(CONFIG)).metadata.shared


def test_a_named_key_is_made_once_and_found_again(assembly: Assembly, world: World) -> None:
    key = world.opened[1].context.keys("media").newest
    assert len(key.secret) == 32
    assert world.opened[2].context.keys("media").newest == key
    assert world.opened[2].context.keys("pages").newest != key
    assert set(keys.rings(assembly.gateway.metadata)) == {"media", "pages"}


def test_the_metadata_store_itself_gets_no_keys(assembly: Assembly, world: World) -> None:
    with pytest.raises(RuntimeError):
        world.opened[0].context.keys("media")


def route(template: str) -> PluginRoute:
    return PluginRoute("GET", template, lambda _request: Response(body=b'"here"'))


def test_a_plugin_brings_routes_beside_those_of_the_api(world: World, settings: Load) -> None:
    world.routes = {"main": [route("/own/{name}")]}
    with closing(assemble(settings(CONFIG))) as assembly:
        [found] = [one for one in assembly.routes if one.template == "/own/{name}"]
    assert found.operation(assembly.gateway, Request(method="GET")).body == b'"here"'


@pytest.mark.parametrize(
    ("template", "owner"),
    [
        ("/flows/{any}", "the gateway"),
        ("/events", "the gateway"),
        ("/ready", "the gateway"),
        ("/own/{id}", "objects.main"),
    ],
)
def test_no_plugin_takes_a_path_that_is_taken(
    world: World, settings: Load, template: str, owner: str
) -> None:
    """Else the last one would answer, and nobody would be told."""
    world.routes = {"main": [route("/own/{name}")], "archive": [route(template)]}
    with pytest.raises(ConfigError) as caught:
        assemble(settings(CONFIG))
    assert f"objects.archive: the path {template} is that of {owner} already" in str(caught.value)
    assert world.told.count("close archive") == 1
