"""The config: files, defaults, overrides, secrets, and one line for every mistake."""

import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tams_gateway import config_file
from tams_gateway.config_file import ConfigError
from tams_gateway.domain.identifiers import is_uuid
from tams_gateway.plugin import Secret
from tams_gateway.sections import convert, expected
from tams_gateway.settings import Settings, load

Load = Callable[..., Settings]


@pytest.fixture
def config(tmp_path: Path) -> Load:
    """Return a function that loads the text as a config file."""

    def load_text(text: str, **env: str) -> Settings:
        path = tmp_path / "tams.toml"
        path.write_text(text)
        return load(path, env)

    return load_text


def test_without_a_file_the_embedded_default_holds() -> None:
    settings = load(None, {})
    assert settings.source == "embedded default"
    assert (settings.metadata.plugin, dict(settings.metadata.options)) == ("sqlite", {})
    [main] = settings.objects
    assert (main.name, main.plugin, main.default) == ("main", "filesystem", True)
    assert not main.options
    assert (settings.auth, settings.events) == ((), ())


def test_the_file_named_wins_over_the_variable(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    one.write_text("[service]\nname = 'one'")
    other.write_text("[service]\nname = 'other'")
    env = {"TAMS_GATEWAY_CONFIG": str(other)}
    assert load(one, env).service.name == "one"
    assert load(None, env).service.name == "other"


def test_a_file_that_leaves_out_a_section_gets_the_default_for_it(config: Load) -> None:
    settings = config("[objects.media]\nplugin = 'memory'")
    assert settings.metadata.plugin == "sqlite"
    assert [one.name for one in settings.objects] == ["media"]
    settings = config("[metadata]\nplugin = 'memory'")
    assert settings.metadata.options == {}
    assert [one.name for one in settings.objects] == ["main"]


def test_a_storage_id_is_derived_from_the_sections_name_and_never_changes(config: Load) -> None:
    [main] = load(None, {}).objects
    assert main.id == "51ed6494-e92d-5419-a540-faa1ed843693"
    assert is_uuid(main.id)  # R-GEN-04
    [other] = config("[objects.other]\nplugin = 'memory'").objects
    assert other.id not in (main.id, "")
    given = str(uuid.uuid4())
    assert config(f"[objects.x]\nplugin = 'memory'\nid = '{given}'").objects[0].id == given


def test_a_label_defaults_to_the_sections_name(config: Load) -> None:
    main, other = config(
        "[objects.main]\nplugin = 'memory'\ndefault = true\n"
        "[objects.other]\nplugin = 'memory'\nlabel = 'Other'\ntags = {a = 'b', c = ['d', 'e']}"
    ).objects
    assert (main.label, other.label) == ("main", "Other")
    assert (main.default, other.default) == (True, False)
    assert other.tags == {"a": "b", "c": ["d", "e"]}


def test_a_public_url_loses_its_last_slash(config: Load) -> None:
    settings = config("[service]\npublic_url = 'https://example.com/tams/'")
    assert settings.service.public_url == "https://example.com/tams"


MISTAKES = {
    "x = 1": "x: unknown section; expected one of service, serve, limits, access, rates",
    "[servce]\nname = 'a'": "servce: unknown section",
    "service = 1": "service: expected a section, [service]",
    "[service]\nnme = 'a'": "service.nme: unknown key; expected one of audit, auth_open",
    "[service]\nname = 1": "service.name: expected text or nothing, got integer",
    "[service]\npublic_url = 'example.com'": "service.public_url: expected a URL as https://",
    "[service]\npublic_url = 'http://a/?b'": "service.public_url: expected a URL as https://",
    "[service]\ntrusted_proxies = ['proxy']": "service.trusted_proxies: expected addresses or",
    "[service]\ncors_origins = ['http://a/b']": "service.cors_origins: expected * or origins",
    "[serve]\nport = '4010'": "serve.port: expected integer, got text",
    "[serve]\nport = 65536": "serve.port: expected integer <= 65535",
    "[serve]\nworkers = 0": "serve.workers: expected integer >= 1",
    "[serve]\nserver = 'apache'": "serve.server: expected one of 'granian', 'gunicorn', 'uvicorn'",
    "[limits]\npage_default = 0": "limits.page_default: expected at least 1, got 0",
    "[limits]\npage_default = 2000": "limits.page_default: expected at most 1000, got 2000",
    "[limits]\nobjects_max = 5": "limits.objects_default: expected at most 5, got 10",
    "[limits]\nmin_presigned_url_timeout = 29": "limits.min_presigned_url_timeout: expected at "
    "least 30, got 29",
    "[limits]\nmin_object_timeout = 3599": "limits.min_object_timeout: expected at least 3600",
    "[limits]\nmin_presigned_url_timeout = 30\nmin_object_timeout = 299": "expected at least 300",
    "[metadata]\npath = 'a'": "metadata.plugin: [metadata] names no plugin; expected the key",
    "[metadata]\nplugin = ['sqlite']": "metadata.plugin: expected text, got list",
    "objects = 1": "objects: expected a section, [objects]",
    "[objects]\nplugin = 'memory'": "objects.plugin: expected a section, [objects.plugin]",
    "[objects.'a b']\nplugin = 'memory'": "objects.a b: expected a name of letters, digits, -",
    "[objects.a]\nid = 'x'": "objects.a.plugin: [objects.a] names no plugin",
    "[objects.a]\nplugin = 'm'\nid = 'X'": "objects.a.id: expected a UUID in lower case, got 'X'",
    "[objects.a]\nplugin = 'm'\ndefault = false": "objects: expected default = true in exactly",
    "[objects.a]\nplugin = 'm'\n[objects.b]\nplugin = 'm'": "in exactly one section, got 0",
    "[objects.a]\nplugin = 'm'\nprefix = '../a'": "objects.a.prefix: expected names of letters",
    "[objects.a]\nplugin = 'm'\ntemplate = 'a'": "objects.a.template: expected {object_id} in it",
    "[objects.a]\nplugin = 'm'\ntemplate = '{object_id}{x}'": "only the placeholders {prefix}",
    "[objects.a]\nplugin = 'm'\ntemplate = '{object_id}}'": "objects.a.template: ",
    "[objects.a]\nplugin = 'm'\ntemplate = '{object_id}?'": "beside the placeholders",
    "[objects.a]\nplugin = 'm'\nprefix = 'a'\ntemplate = '{object_id}'": "expected {prefix} in it",
    "[objects.a]\nplugin = 'm'\ntags = {a = 1}": "objects.a.tags[...]: expected text or list",
    "[auth]\nplugin = 'basic'": "auth: expected [[auth]], with two brackets",
    "[[events]]\npath = 'a'": "events[0].plugin: [events[0]] names no plugin",
    "[[auth]]\nplugin = 'a'\nkey = {env = 'NO'}": "auth[0].key: the environment variable NO is not",
    "[[auth]]\nplugin = 'a'\nkey = {file = '/no'}": "auth[0].key: cannot read /no: No such file",
    "[service": "not TOML: ",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_in_one_line_with_file_key_and_what_was_expected(
    config: Load, text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        config(text)
    message = str(caught.value)
    assert re.match(r".*tams\.toml: ", message)
    assert MISTAKES[text] in message
    assert "\n" not in message


def test_two_backends_cannot_have_one_label_or_id(config: Load) -> None:
    """R-STB-05: a label also names the get_urls of its backend."""
    two = "[objects.a]\nplugin = 'm'\ndefault = true\n{0}\n[objects.b]\nplugin = 'm'\n{0}"
    for line, key in (
        ("label = 'x'", "objects.b.label: 'x' is also that of objects.a"),
        ("id = '00000000-0000-4000-8000-000000000000'", "objects.b.id: "),
    ):
        with pytest.raises(ConfigError, match=re.escape(key)):
            config(two.format(line).replace("default = true", "default = true", 1))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^no\.toml: cannot read no\.toml: No such file"):
        load(Path("no.toml"), {})


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="codec can't decode byte"):
        load(path, {})


def test_the_environment_overrides_keys_in_any_case_of_letters(config: Load) -> None:
    settings = config(
        "[serve]\nport = 1\n[objects.Main-2]\nplugin = 'memory'\npath = 'a'",
        TAMS_GATEWAY__SERVE__PORT="7",
        TAMS_GATEWAY__service__auth_open="true",
        TAMS_GATEWAY__SERVICE__NAME="12",
        TAMS_GATEWAY__OBJECTS__MAIN_2__PATH="b",
        TAMS_GATEWAY__LIMITS__PAGE_DEFAULT="9",
    )
    assert settings.serve.port == 7
    assert settings.service.auth_open is True
    assert settings.service.name == "12"
    assert settings.limits.page_default == 9
    [backend] = settings.objects
    assert (backend.name, backend.options["path"]) == ("Main-2", "b")


def test_the_environment_overrides_the_embedded_default(config: Load) -> None:
    env = {"TAMS_GATEWAY__OBJECTS__MAIN__PATH": "/srv"}
    [main] = load(None, env).objects
    assert (main.plugin, main.options["path"]) == ("filesystem", "/srv")


def test_another_plugin_from_the_environment_leaves_nothing_of_the_default(config: Load) -> None:
    settings = load(None, {"TAMS_GATEWAY__METADATA__PLUGIN": "memory"})
    assert (settings.metadata.plugin, dict(settings.metadata.options)) == ("memory", {})


@pytest.mark.parametrize("text", ["10.0.0.0/8, ::1", '["10.0.0.0/8", "::1"]'])
def test_a_list_from_the_environment_is_split_at_commas_or_is_json(text: str) -> None:
    settings = load(None, {"TAMS_GATEWAY__SERVICE__TRUSTED_PROXIES": text})
    assert settings.service.trusted_proxies == ("10.0.0.0/8", "::1")


def test_the_environment_reaches_into_a_list_of_sections(config: Load) -> None:
    text = "[[auth]]\nplugin = 'a'\n[[auth]]\nplugin = 'b'\nx = 1"
    settings = config(text, TAMS_GATEWAY__AUTH__1__X="2")
    assert settings.auth[1].options == {"x": "2"}


OVERRIDES = {
    "TAMS_GATEWAY__SERVE__PORT": ("x", "expected integer, got text"),
    "TAMS_GATEWAY__SERVE__PROT": ("7", "unknown key; expected one of host"),
    "TAMS_GATEWAY__SERV__PORT": ("7", "unknown section"),
    "TAMS_GATEWAY__SERVE": ("7", "expected a section, [serve]"),
    "TAMS_GATEWAY__METADATA": ("memory", "expected a section, [metadata]"),
    "TAMS_GATEWAY__OBJECTS__MAIN": ("memory", "expected a section, [objects.main]"),
    "TAMS_GATEWAY__OBJECTS__MIAN__PATH": ("a", "[objects.mian] names no plugin"),
    "TAMS_GATEWAY__SERVE__": ("7", "the config has no such section"),
    "TAMS_GATEWAY__EVENTS__0__PATH": ("7", "expected [[events]]"),
    "TAMS_GATEWAY__LIMITS__PAGE_DEFAULT": ("0", "expected at least 1, got 0"),
    "TAMS_GATEWAY__SERVICE__PUBLIC_URL": ("a", "expected a URL as"),
    "TAMS_GATEWAY__OBJECTS__MAIN__ID": ("a", "expected a UUID"),
}


@pytest.mark.parametrize("variable", OVERRIDES)
def test_a_wrong_override_is_named_by_its_variable(variable: str) -> None:
    text, reason = OVERRIDES[variable]
    with pytest.raises(ConfigError) as caught:
        load(None, {variable: text})
    assert str(caught.value).startswith(f"{variable}: ")
    assert reason in str(caught.value)


def test_an_override_of_a_section_that_the_list_lacks_is_named(config: Load) -> None:
    with pytest.raises(ConfigError, match=r"^TAMS_GATEWAY__AUTH__1__X: the config has no such"):
        config("[[auth]]\nplugin = 'a'", TAMS_GATEWAY__AUTH__1__X="1")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a plugin, of every shape."""

    key: Secret
    more: Secret | None = None
    keys: dict[str, Secret] = {}
    sizes: list[int] = []
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.ratio < 0:
            raise ValueError("ratio: expected a positive number")


def options(table: Mapping[str, object], env: Mapping[str, str] | None = None) -> Options:
    resolved = config_file.resolved(dict(table), env or {}, "f: auth[0]")
    return convert(resolved, Options, "f", "auth[0]")


def test_a_secret_comes_from_text_a_variable_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from file\n")
    got = options(
        {
            "key": "plain",
            "more": {"env": "KEY"},
            "keys": {"a": {"file": str(file)}, "b": "text"},
        },
        {"KEY": "from env"},
    )
    assert got.key == Secret("plain")
    assert got.more == Secret("from env")
    assert got.keys == {"a": Secret("from file"), "b": Secret("text")}


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hush")
    assert "hush" not in f"{secret} {secret!r} {options({'key': secret})}"


def test_an_option_may_itself_be_called_env_or_file(config: Load) -> None:
    assert config("[[auth]]\nplugin = 'a'\nenv = 'hush'").auth[0].options == {"env": "hush"}


def test_settings_show_no_value_of_an_option(config: Load) -> None:
    settings = config("[[auth]]\nplugin = 'a'\nkey = 'hush'\nkeys = { bob = 'hush' }")
    assert "hush" not in repr(settings)
    assert "Options(key, keys)" in repr(settings)


def test_a_reference_to_a_secret_fits_secret_options_alone() -> None:
    with pytest.raises(ConfigError, match=r"^f: auth\[0\]\.ratio: expected number, got secret$"):
        options({"key": "a", "ratio": {"env": "KEY"}}, {"KEY": "hush"})


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    with pytest.raises(ConfigError, match=r"auth\[0\]\.key: expected secret") as caught:
        options({"key": 4711})
    assert "4711" not in str(caught.value)


def test_what_a_plugin_checks_itself_is_told_like_any_mistake() -> None:
    with pytest.raises(ConfigError, match=r"^f: auth\[0\]\.ratio: expected a positive number$"):
        options({"key": "a", "ratio": -1})


def test_an_override_inside_an_option_is_taken_by_its_text(config: Load) -> None:
    text = "[[auth]]\nplugin = 'a'\nkeys = { bob = 'old' }"
    section = config(text, TAMS_GATEWAY__AUTH__0__KEYS__BOB="7", TAMS_GATEWAY__AUTH__0__KEY="8")
    got = convert(section.auth[0].options, Options, "f", "auth[0]")
    assert (got.keys, got.key) == ({"bob": Secret("7")}, Secret("8"))


def test_types_are_told_in_the_operators_words() -> None:
    types = {field.name: expected(field.type) for field in msgspec.structs.fields(Options)}
    assert types == {
        "key": "secret",
        "more": "secret or nothing",
        "keys": "table of secret",
        "sizes": "list of integer",
        "ratio": "number",
    }


WORDS = st.sampled_from(
    [
        "SERVICE",
        "NAME",
        "OBJECTS",
        "MAIN",
        "TAGS",
        "METADATA",
        "PLUGIN",
        "AUTH",
        "0",
        "LIMITS",
        "PAGE_MAX",
        "PUBLIC_URL",
        "ENV",
        "FILE",
        "TRUSTED_PROXIES",
        "TEMPLATE",
        "DEFAULT",
        "PREFIX",
        "-",
    ]
)
TEXTS = st.text() | st.sampled_from(["[", "[1]", "{", "{}", "http://[", "{object_id", "-1", "true"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS.map(str.lower), inner),
    max_leaves=8,
)


def test_a_mistake_is_one_line_whatever_it_quotes() -> None:
    assert str(ConfigError("a:\n  b\r")) == "a: b"


@given(st.dictionaries(st.lists(WORDS, min_size=1, max_size=4).map("__".join), TEXTS, max_size=3))
def test_any_environment_gives_settings_or_a_mistake(variables: dict[str, str]) -> None:
    with suppress(ConfigError):
        env = {f"TAMS_GATEWAY__{name}": text for name, text in variables.items()}
        assert load(None, env).source == "embedded default"


@given(st.dictionaries(WORDS.map(str.lower), VALUES))
def test_any_tables_give_settings_or_a_mistake(tables: dict[str, object]) -> None:
    with mock.patch("tams_gateway.config_file._parse", return_value=tables), suppress(ConfigError):
        assert load(Path("a.toml"), {}).source == "a.toml"
