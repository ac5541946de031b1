"""The published kit, by the command of the docs: our own stores pass it."""

from pathlib import Path

import pytest

from tests.testing.kit import run

ALONE = "its provider says shared=False: its data live in one process"
IDLE = "it holds nothing open between calls"
NO_OUTBOX = "the gateway calls deliver: it reads no outbox itself"
OWN_OUTBOX = "it reads the outbox itself: nobody calls deliver"
NO_WEBHOOKS = "it delivers no webhooks"
NO_COPY = "it has no copy: what it is to hold comes through the gateway"

OURS: dict[str, tuple[str, set[str]]] = {
    "memory": ("--tams-metadata memory --tams-objects memory", {ALONE, IDLE, NO_COPY}),
    "sqlite": ("--tams-metadata sqlite", set()),
    "filesystem": ("--tams-objects filesystem --tams-option path={tmp}/x", {IDLE, NO_COPY}),
    "filesystem-process": (
        "--tams-objects filesystem --tams-option durability=process",
        {IDLE, NO_COPY},
    ),
    "log": ("--tams-events log", {NO_OUTBOX, NO_WEBHOOKS}),
    "webhook": ("--tams-events webhook", {OWN_OUTBOX}),
}
"""The arguments for each, and why clauses are skipped."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", OURS)
def test_our_own_stores_keep_their_contracts(name: str, tmp_path: Path) -> None:
    arguments, reasons = OURS[name]

    found = run(tmp_path, *arguments.split())

    assert 0 == found.status, found.text
    assert [] == found.clauses("FAILED")
    assert reasons == set(found.clauses("SKIPPED"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say what to prove: --tams-metadata NAME or --tams-objects NAME or --tams-auth NAME"),
        (["--tams-metadata", "sqlit"], "--tams-metadata sqlit: no plugin 'sqlit'; installed: "),
        (["--tams-objects", "sqlite"], "plugin 'sqlite' does not fit [objects.NAME]"),
        (["--tams-metadata", "sqlite", "--tams-option", "pth=x"], "--tams-option pth: unknown key"),
        (["--tams-option", "path=x"], "--tams-option path=x: stands behind the plugin"),
        (["--tams-metadata", "sqlite", "--tams-option", "path"], "expected key=value"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(
    arguments: list[str], reason: str, tmp_path: Path
) -> None:
    found = run(tmp_path, *arguments)

    assert 4 == found.status
    [line] = [line for line in found.text.splitlines() if "tams" in line.lower()][-1:]
    assert reason in found.text, line
