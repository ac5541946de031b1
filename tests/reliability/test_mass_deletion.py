"""A short deletion beside posts; the million is `python -m tests.reliability mass-deletion`."""

from pathlib import Path

from benchmarks.load.site import Site
from tests.reliability.mass_deletion import mass_deletion
from tests.servers.process import serving


def test_posts_go_on_while_a_flow_is_deleted_part_by_part(tmp_path: Path) -> None:
    """Whoever posts meanwhile gets an answer, and all that was asked for goes."""
    with serving(tmp_path) as server:
        site = Site(f"http://127.0.0.1:{server.port}", pid=server.process.pid)
        flow_id = site.flow(2200)

        rounds = mass_deletion(site, 2200, rounds=2, seconds=0.2)

        assert [] == site.call("GET", f"/flows/{flow_id}/segments")
    assert all(one.deleted > 0 and one.busy_p99 < 2000 for one in rounds)
