"""`kill -9` at any moment: nothing acknowledged is lost, nothing is half there."""

import random
from pathlib import Path

import pytest

from tests.faults.kills import Kills
from tests.stores import Servers, stores


@pytest.mark.timeout(240)
def test_what_was_acknowledged_survives_twenty_kills(tmp_path: Path) -> None:
    """R-SEG-15, R-STO-12, R-EVT-05, R-DEL-03: eight writers, two workers, all killed at once.

    A thousand are made by `python -m tests.reliability kills`.
    """
    kills = Kills(tmp_path, random.randrange(2**32))

    kills.run(20)

    kills.check_rest()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ["sqlite-s3"])
def test_so_it_does_in_other_stores(name: str, tmp_path: Path, servers: Servers) -> None:
    """A few kills, for what another store does otherwise; more: `kills --stores NAME`."""
    kills = Kills(tmp_path, random.randrange(2**32), stores(name, tmp_path, servers))

    kills.run(3)

    kills.check_rest()
