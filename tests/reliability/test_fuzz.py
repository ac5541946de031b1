"""Some fuzzed requests to a real server; all of them: `python -m tests.reliability fuzz`."""

from pathlib import Path

from tests.reliability.fuzz import Fuzz
from tests.servers.process import serving


def test_a_real_server_withstands_mutated_traffic_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    """R-GEN-02, R-EVT-05: the in-process fuzz, and what servers and SQLite add to it."""
    with serving(tmp_path) as server:
        fuzz = Fuzz(server)
        warm, *_, last = fuzz.run(1500, of_document=0)

    assert fuzz.refused > fuzz.sent / 10
    # The store opens up to four connections for reading, each with the log and its index.
    assert last.files <= warm.files + 12
    assert last.threads <= warm.threads + 8
    assert last.memory < warm.memory * 1.3
