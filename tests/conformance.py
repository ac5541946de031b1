"""Which tests prove which rule: makes docs/conformance.md and docs/clients.md.

`python -m tests.conformance` writes both anew; a test fails when they are stale. A test proves the
rules whose numbers stand in its name, docstring or comments.
"""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.rules import BEHAVIOURS, FAMILIES, REASONS, UNHEALED

ROOT: Final = Path(__file__).parents[1]
COMMAND: Final = "python -m tests.conformance"

_SOURCES: Final = ("tests", "plugins", "tams_gateway/testing")
_RANGE: Final = re.compile(r"\bR-([A-Z]+)-([0-9]{2})(?: to (?:R-\1)?-([0-9]{2}))?")
_BEHAVIOUR: Final = re.compile(r"\bB([0-9]{1,2})(?: to B([0-9]{1,2}))?\b")
_SHOWN: Final = 3
"""How many tests of a rule are named."""

Proofs = Mapping[str, list[str]]
"""The tests of each rule, as Markdown."""


def rules() -> list[str]:
    """Return every rule, in order."""
    return [
        f"R-{name}-{number:02}"
        for name, (_, texts) in FAMILIES.items()
        for number in range(1, len(texts) + 1)
    ]


def behaviours() -> list[str]:
    """Return every behaviour of real clients, in order."""
    return [f"B{number}" for number in range(1, len(BEHAVIOURS) + 1)]


def named(text: str) -> set[str]:
    """Return the numbers in a text; `R-TIME-03 to R-TIME-05` and `R-TIME-03 to -05` are three."""
    found: set[str] = set()
    for family, first, last in _RANGE.findall(text):
        found |= {f"R-{family}-{number:02}" for number in range(int(first), int(last or first) + 1)}
    for first, last in _BEHAVIOUR.findall(text):
        found |= {f"B{number}" for number in range(int(first), int(last or first) + 1)}
    return found


@functools.cache
def proofs() -> Proofs:
    """Return the tests of each rule, of the whole repository."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for function, text in _tests(path):
                link = f"[{_sentence(function)}](../{path.relative_to(ROOT)})"
                for rule in named(text):
                    found[rule].append(link)
    return found


def _tests(path: Path) -> Iterable[tuple[str, str]]:
    source = path.read_text()
    if "def test_" not in source:
        return
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            yield node.name, "\n".join(lines[first - 1 : node.end_lineno])


def _sentence(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def conformance(found: Proofs) -> str:
    """Return the text of docs/conformance.md."""
    parts = [
        "# Conformance",
        f"Which test proves which rule of TAMS 8.2. Made by `{COMMAND}`; do not edit.",
        "The rules are numbered by subject, by us; what they say is in short and in our words.\n"
        "What the specification leaves open is decided in [decisions.md](decisions.md). The name\n"
        "of each test is a sentence that is true of the gateway; the test itself names the rules\n"
        "that it proves. Beside that, every response of the whole test suite is checked against\n"
        "the official document, where `TAMS_SPEC` leads to it.",
    ]
    head = ["| Rule | What it says | Proved by |", "|---|---|---|"]
    for family, (title, texts) in FAMILIES.items():
        own = {f"R-{family}-{number:02}": text for number, text in enumerate(texts, start=1)}
        rows = [f"| {rule} | {text} | {_proof(rule, found)} |" for rule, text in own.items()]
        parts.append("\n".join([f"## {title}\n", *head, *rows]))
    return "\n\n".join(parts) + "\n"


def clients(found: Proofs) -> str:
    """Return the text of docs/clients.md."""
    rows = [
        f"| B{number} | {text} | {_proof(f'B{number}', found)} |"
        for number, text in enumerate(BEHAVIOURS, start=1)
    ]
    parts = [
        "# What clients rely on",
        "Clients and players in use need more than the specification says.\n"
        f"Made by `{COMMAND}`; do not edit.",
        "\n".join(["| # | What the gateway does | Proved by |", "|---|---|---|", *rows]),
        "## What no server can heal",
        "\n".join(f"- {fault}" for fault in UNHEALED),
    ]
    return "\n\n".join(parts) + "\n"


def _proof(rule: str, found: Proofs) -> str:
    tests = found.get(rule, [])
    if tests:
        more = "; and others" if len(tests) > _SHOWN else ""
        return "; ".join(tests[:_SHOWN]) + more
    return REASONS.get(rule) or REASONS.get(rule[:-3], "")


def documents() -> Mapping[Path, str]:
    """Return the text that each of the two files must have."""
    found = proofs()
    return {
        ROOT / "docs" / "conformance.md": conformance(found),
        ROOT / "docs" / "clients.md": clients(found),
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text)
