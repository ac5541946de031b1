"""Plugins are found by name, imported alone, and every fault of theirs is told in one line."""

import sys
from collections.abc import Callable

import pytest

from tams_gateway import __version__
from tams_gateway.plugin.loader import PluginError, installed, load
from tams_gateway.plugin.provider import API

Install = Callable[..., None]

HEAD = """
import msgspec
from tams_gateway.plugin import Provider, hookimpl

class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = "data"
"""
STORE = """
@hookimpl
def tams_metadata_store():
    return Provider("a", Settings, lambda settings, context: None, "A store.", api={api})
"""
GOOD = HEAD + STORE.format(api=API)

pytestmark = pytest.mark.usefixtures("only_made")


def refusal(name: str) -> str:
    """Return what the loader says of the plugin as a metadata store."""
    with pytest.raises(PluginError) as caught:
        load(name).metadata_store()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_plugin_is_imported_without_the_others(install: Install) -> None:
    install("good", GOOD)
    install("other", GOOD)
    assert load("good").metadata_store().summary == "A store."
    assert "made_good_good" in sys.modules
    assert "made_other_other" not in sys.modules


def test_plugins_are_listed_without_import(install: Install) -> None:
    install("good", GOOD)
    install("broken", "1 / 0")
    assert installed() == {"good": "made-good 1.0", "broken": "made-broken 1.0"}
    assert "made_good_good" not in sys.modules


def test_a_missing_plugin_is_told_with_those_that_are_there(install: Install) -> None:
    install("sqlite", GOOD)
    install("memory", GOOD)
    assert refusal("vsat") == (
        "no plugin 'vsat'; installed: memory, sqlite; "
        "name one of these, or install the package that has it"
    )


def test_a_known_plugin_that_is_missing_comes_with_what_to_install() -> None:
    assert refusal("sqlite") == (
        "no plugin 'sqlite'; installed: none; in a checkout: "
        f"{sys.executable} -m pip install ./plugins/sqlite"
    )


def test_two_distributions_of_one_plugin_are_refused(install: Install) -> None:
    install("twice", GOOD, "made-first")
    install("twice", GOOD, "made-second")
    assert refusal("twice") == (
        "plugin 'twice' is in two distributions, made-second 1.0 and made-first 1.0: "
        "uninstall one of them"
    )


def test_a_misspelt_hook_is_told_with_the_right_ones(install: Install) -> None:
    install("typo", GOOD.replace("tams_metadata_store", "tams_metadata_stor"))
    message = refusal("typo")
    assert message.startswith("plugin 'typo' (made-typo 1.0): unknown hook 'tams_metadata_stor'")
    assert "tams_metadata_store, tams_object_store" in message


def test_a_hook_with_an_argument_that_it_does_not_get_is_told(install: Install) -> None:
    install("eager", GOOD.replace("store():", "store(gateway):"))
    assert refusal("eager").startswith("plugin 'eager' (made-eager 1.0): ")


def test_a_plugin_in_the_wrong_section_is_told_where_it_fits(install: Install) -> None:
    install("good", GOOD)
    with pytest.raises(PluginError) as caught:
        load("good").auth_provider()
    assert str(caught.value) == "plugin 'good' does not fit [[auth]]; it fits [metadata]"


def test_a_plugin_without_any_hook_is_told(install: Install) -> None:
    install("idle", HEAD)
    assert refusal("idle") == "plugin 'idle' does not fit [metadata]; it fits no section"


@pytest.mark.parametrize(("api", "older"), [(API + 1, "tams-gateway"), (API - 1, "the plugin")])
def test_a_plugin_for_other_contracts_is_told_with_the_remedy(
    install: Install, api: int, older: str
) -> None:
    install("other", HEAD + STORE.format(api=api))
    assert refusal("other") == (
        f"plugin 'other' (made-other 1.0) is made for version {api} of the plugin contracts, "
        f"tams-gateway {__version__} has version {API}: upgrade {older}"
    )


def test_a_plugin_that_asks_for_what_this_gateway_lacks_is_made_for_other_contracts(
    install: Install,
) -> None:
    """It cannot say its version: it fails before."""
    for number, line in enumerate(
        ("from tams_gateway.plugin import Wonder", "import tams_gateway.wonders")
    ):
        install(f"other{number}", f"{line}\n{GOOD}")
        message = refusal(f"other{number}")
        assert message.startswith(f"plugin 'other{number}' (made-other{number} 1.0) does not load")
        assert message.endswith(
            "; it is made for other plugin contracts, "
            f"tams-gateway {__version__} has version {API}: upgrade the older one"
        )


def test_a_plugin_that_does_not_say_its_contracts_is_refused(install: Install) -> None:
    """The version of whatever gateway is installed would be no statement of the plugin's."""
    install("silent", GOOD.replace(f", api={API}", ""))
    assert "Missing required argument 'api'" in refusal("silent")


def test_a_hook_that_returns_no_provider_is_told(install: Install) -> None:
    install("plain", HEAD + "@hookimpl\ndef tams_metadata_store():\n    return {}\n")
    assert refusal("plain") == "plugin 'plain' (made-plain 1.0): expected a Provider, got dict"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import missing_library", "ModuleNotFoundError: No module named 'missing_library'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError: invalid syntax"),
        (GOOD.replace("Provider(", "Provide("), "NameError: name 'Provide' is not defined"),
    ],
)
def test_a_plugin_that_does_not_load_is_told_with_the_reason(
    install: Install, source: str, reason: str
) -> None:
    install("broken", source)
    message = refusal("broken")
    assert message.startswith(f"plugin 'broken' (made-broken 1.0) does not load: {reason}")


def test_one_plugin_may_fit_several_sections_and_bring_commands(install: Install) -> None:
    both = GOOD + STORE.format(api=API).replace("metadata", "object")
    install("both", both + "\n@hookimpl\ndef tams_commands():\n    return ['one', 'two']\n")
    plugin = load("both")
    assert list(plugin.providers) == ["[metadata]", "[objects.NAME]"]
    assert list(plugin.commands) == ["one", "two"]
