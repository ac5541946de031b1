"""For every test of the project: its marks, and in continuous integration none may be skipped."""

import os
from collections.abc import Generator
from typing import Final, TypeVar

import hypothesis
import pytest

# A busy machine is no failure: timings belong in benchmarks.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

OFFICIAL_DOCUMENT: Final = "TAMS_SPEC"
"""Stands in the reason of a skip where the official document is absent: we hold no copy of it."""


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks of tests that run on several stores, also where only those of a plugin run."""
    config.addinivalue_line("markers", "config(**sections): sections of the gateway's config")
    config.addinivalue_line("markers", "deployments(*kinds): the ways to reach it to be tested")
    config.addinivalue_line(
        "markers", "served_by_the_gateway(why): leaves out stores that clients reach themselves"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into a failure."""
    return _without_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into an error."""
    return _without_skip((yield))


def _without_skip(report: Report) -> Report:
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = str(report.longrepr)
    if OFFICIAL_DOCUMENT not in reason:
        report.outcome = "failed"
        report.longrepr = f"skipped, which continuous integration does not allow: {reason}"
    return report
