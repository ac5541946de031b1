"""docs/conformance.md and docs/clients.md are true and complete."""

import os
import re
from pathlib import Path

import pytest

from tests.conformance import COMMAND, ROOT, behaviours, documents, named, proofs, rules
from tests.rules import REASONS

SHARED = Path(os.environ.get("TAMS_SPEC") or ROOT.parent / "shared" / "tams-spec").parent
REQUIREMENTS = SHARED / "tams-requirements.md"
CLIENTS = SHARED / "real-clients.md"

needs_rules = pytest.mark.skipif(
    not REQUIREMENTS.is_file(), reason="the numbered rules are absent: they lie beside TAMS_SPEC"
)


@pytest.mark.parametrize("name", ["conformance.md", "clients.md"])
def test_the_tables_are_up_to_date(name: str) -> None:
    path = ROOT / "docs" / name

    assert documents()[path] == path.read_text(), f"run {COMMAND}"


def test_every_rule_is_proved_or_has_a_reason() -> None:
    found = proofs()

    missing = [
        rule
        for rule in rules() + behaviours()
        if rule not in found and rule not in REASONS and rule[:-3] not in REASONS
    ]

    assert missing == []


def test_no_test_names_a_rule_that_is_not() -> None:
    assert set(proofs()) <= set(rules() + behaviours())


def test_reasons_are_given_only_where_they_are_needed() -> None:
    found = proofs()

    assert [rule for rule in REASONS if rule in found] == []


@needs_rules
def test_the_numbers_are_those_of_the_requirements() -> None:
    numbers = re.findall(r"\*\*(R-[A-Z]+-[0-9]{2})\*\*", REQUIREMENTS.read_text())
    clients = re.findall(r"^\| (B[0-9]+) \|", CLIENTS.read_text(), re.MULTILINE)

    assert sorted(set(numbers)) == sorted(rules())
    assert clients == behaviours()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("R-SEG-01, B5.", {"R-SEG-01", "B5"}),
        ("R-TIME-03 to R-TIME-05", {"R-TIME-03", "R-TIME-04", "R-TIME-05"}),
        ("(R-FPR-01 to -02)", {"R-FPR-01", "R-FPR-02"}),
        ("B9 to B11", {"B9", "B10", "B11"}),
        ("R-SEG-1, XB5, B5x", set()),
    ],
)
def test_numbers_are_read_from_text(text: str, expected: set[str]) -> None:
    assert named(text) == expected
