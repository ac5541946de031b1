"""The options of `pytest --pyargs tams_gateway.testing.suite`.

pytest loads this module in each run of every environment that has the gateway: so it imports
nothing of ours, and what it needs further only once a plugin is chosen.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

_KINDS = {
    "metadata": "a metadata store",
    "objects": "an object store",
    "auth": "an auth provider",
    "events": "an event sink",
}


class _Choose(argparse.Action):
    """Notes a plugin by its kind; the options behind it are its own."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        kind = str(option_string).removeprefix("--tams-")
        others = {key: chosen for key, chosen in namespace.tams_chosen.items() if key != kind}
        namespace.tams_chosen = {**others, kind: [str(values), {}]}


class _Option(argparse.Action):
    """Notes `key=value` for the plugin that was named last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        key, equals, value = str(values).partition("=")
        if not namespace.tams_chosen:
            parser.error(f"{option_string} {values}: stands behind the plugin that it is for")
        if not equals:
            parser.error(f"{option_string} {values}: expected key=value")
        kind, (name, options) = list(namespace.tams_chosen.items())[-1]
        namespace.tams_chosen = {**namespace.tams_chosen, kind: [name, {**options, key: value}]}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the kit."""
    group = parser.getgroup("TAMS", "TAMS Gateway: prove that a plugin keeps its contract")
    shared: dict[str, Any] = {"dest": "tams_chosen", "default": {}}
    for kind, what in _KINDS.items():
        group.addoption(
            f"--tams-{kind}",
            action=_Choose,
            metavar="NAME",
            help=f"the plugin with {what}",
            **shared,
        )
    group.addoption(
        "--tams-option",
        action=_Option,
        metavar="KEY=VALUE",
        help="an option of the plugin before it; {tmp} is a new directory, {unique} a new name",
        **shared,
    )
    group.addoption(
        "--tams-credentials",
        action="append",
        default=[],
        metavar="TEXT",
        help="what the auth provider must accept: 'HEADER: VALUE' or access_token=VALUE",
    )
    group.addoption(
        "--tams-segments",
        type=int,
        default=100_000,
        metavar="COUNT",
        help="the length of the long flow in the clause about speed",
    )
    group.addoption(
        "--tams-histories",
        type=int,
        default=20,
        metavar="COUNT",
        help="how many histories the clause about any history makes up",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let the report tell what the chosen plugins keep."""
    if config.option.tams_chosen:
        from tams_gateway.testing import report

        config.pluginmanager.register(report.Report(config), "tams_gateway.testing.report")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to run the suite where no plugin is chosen."""
    suite = Path(__file__).with_name("suite.py")
    if not config.option.tams_chosen and any(suite == item.path for item in items):
        raise pytest.UsageError(
            f"say what to prove: {' or '.join(f'--tams-{kind} NAME' for kind in _KINDS)}"
        )
