"""The README of the plugin tells of each line of the log."""

import re
from pathlib import Path

HERE = Path(__file__).parents[1]


def test_every_line_of_the_log_is_documented() -> None:
    sources = [path.read_text() for path in (HERE / "tams_gateway_events").glob("*.py")]
    found = re.findall(r'_log\.(\w+)\(\s*"(\w+)"', "".join(sources))
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (HERE / "README.md").read_text(), re.MULTILINE)
    assert {(event, level.replace("exception", "error")) for level, event in found} == set(rows)
