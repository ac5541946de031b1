"""Tells after a run of the kit what a plugin keeps of its contract, and what it does not."""

import textwrap
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tams_gateway.config_file import ConfigError
from tams_gateway.plugin.loader import Plugin, PluginError
from tams_gateway.plugin.provider import Provider
from tams_gateway.testing.opening import Opener, placed

_SUITE: Final = "tams_gateway.testing.suite"
_HOOKS: Final[Mapping[str, Callable[[Plugin], Provider[Any]]]] = {
    "metadata": Plugin.metadata_store,
    "objects": Plugin.object_store,
    "auth": Plugin.auth_provider,
    "events": Plugin.event_sink,
}
_KINDS: Final = {
    "TestMetadataStore": "metadata",
    "TestObjectStore": "objects",
    "TestAuthProvider": "auth",
    "TestEventSink": "events",
}
_WORDS: Final = {
    "metadata": "metadata store",
    "objects": "object store",
    "auth": "auth provider",
    "events": "event sink",
}
_LONGEST: Final = 300


class Report:
    """Chooses the clauses, and notes what became of each. Raises `pytest.UsageError`."""

    def __init__(self, config: pytest.Config) -> None:
        self._chosen: dict[str, tuple[str, dict[str, str]]] = config.option.tams_chosen
        self._outcomes: dict[str, dict[str, list[pytest.TestReport]]] = {
            kind: defaultdict(list) for kind in self._chosen
        }
        for kind, (name, options) in self._chosen.items():
            try:
                Opener(_HOOKS[kind], name, placed(options, config.rootpath)).settings()
            except (PluginError, ConfigError) as error:
                raise pytest.UsageError(f"--tams-{kind} {name}: {error}") from error
        # An editable installation does not tell pytest whose asserts are to be explained.
        folder = Path(__file__).parent
        names = {path.stem for path in folder.glob("*.py")} - {"__init__", "options", "report"}
        pytest.register_assert_rewrite(*(f"tams_gateway.testing.{name}" for name in names))
        config.option.reportchars = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out the contracts of plugins that were not chosen; tell each clause its words."""
        items[:] = [item for item in items if self._is_wanted(item)]
        for item in items:
            if isinstance(item, pytest.Function) and item.module.__name__ == _SUITE:
                kind = _KINDS[item.cls.__name__]
                item.user_properties.append(("tams", [kind, _clause(item), _reason(item)]))

    def _is_wanted(self, item: pytest.Item) -> bool:
        if not isinstance(item, pytest.Function) or item.module.__name__ != _SUITE:
            return True
        return _KINDS[item.cls.__name__] in self._chosen

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a clause."""
        words = _words(report)
        if words is not None and (report.when == "call" or not report.passed):
            self._outcomes[words[0]][report.outcome].append(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell for each plugin what failed and why it matters, what was skipped, what is proven."""
        line = terminalreporter.write_line
        for kind, outcomes in self._outcomes.items():
            what = f"contract of the {_WORDS[kind]} {self._chosen[kind][0]!r}"
            terminalreporter.section(what)
            for report in outcomes["failed"]:
                _, clause, why = _words(report) or ("", "", "")
                line(f"FAILED {clause}", red=True)
                line(f"  why it matters: {why}")
                line(f"  what was seen: {_seen(report)}")
            skipped: dict[str, list[str]] = defaultdict(list)
            for report in outcomes["skipped"]:
                skipped[_seen(report)].append((_words(report) or ("", "", ""))[1])
            for reason, clauses in skipped.items():
                line(f"SKIPPED {reason}", yellow=True)
                line(textwrap.indent("\n".join(clauses), "  "))
            proven, failed = len(outcomes["passed"]), len(outcomes["failed"])
            line(
                f"{proven} clauses proven, {failed} failed, {len(outcomes['skipped'])} skipped",
                red=failed > 0,
                green=failed == 0,
            )


def _clause(item: pytest.Function) -> str:
    """Return the clause as a sentence, with its case where there are several."""
    sentence = item.originalname.removeprefix("test_").replace("_", " ")
    case = item.name.removeprefix(item.originalname)
    return f"{sentence} {case}".strip()


def _reason(item: pytest.Function) -> str:
    """Return why the clause is there: what its docstring says first."""
    paragraph = (item.function.__doc__ or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split())


def _words(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Return kind, clause and reason of a test of the suite, None of another."""
    for name, value in report.user_properties:
        if name == "tams" and isinstance(value, list):
            kind, clause, reason = map(str, value)
            return kind, clause, reason
    return None


def _seen(report: pytest.TestReport) -> str:
    """Return in a line what a failed clause met, or why one was skipped."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr if crash is None else crash.message)
    return textwrap.shorten(text, _LONGEST, placeholder=" ...")
