"""60 000 segments in one POST, under each server's own time-outs (B23)."""

import time
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.servers.process import SERVERS, serving
from tests.servers.sink import added, with_a_sink

COUNT = 60_000


@pytest.mark.parametrize("server", SERVERS)
def test_sixty_thousand_segments_go_in_within_ten_seconds(tmp_path: Path, server: str) -> None:
    """B23, R-SEG-10, R-EVT-02: one transaction, told in parts of at most 1000."""
    with serving(tmp_path, "--server", server, environment=with_a_sink(tmp_path)) as running:
        client = Client(Http(f"http://127.0.0.1:{running.port}", timeout=60))
        ingest = Ingest(client)
        library, flow_id = ingest.flow(), ingest.flow()
        known = [ingest.add(library, seconds(at, at + 1)) for at in range(20)]
        segments = [
            external(seconds(at, at + 1))
            if at % 60 == 0
            else {
                "object_id": known[at % 20],
                "timerange": seconds(at, at + 1),
                "ts_offset": f"{at - at % 20}:0",
            }
            for at in range(COUNT)
        ]

        began = time.monotonic()
        answer = client.post(f"/flows/{flow_id}/segments", json=segments)
        taken = time.monotonic() - began

        assert answer.status == 201, answer.body[:500]
        assert taken < 10
        document = ingest.document(flow_id, {"include_timerange": "true"})
        assert document["timerange"] == seconds(0, COUNT)
        last = {"reverse_order": "true", "limit": "1"}
        assert ingest.timeranges(flow_id, last) == [seconds(COUNT - 1, COUNT)]
        assert eventually(lambda: sum(_told(tmp_path, flow_id)) >= COUNT, 20)
        assert _told(tmp_path, flow_id) == [1000] * (COUNT // 1000)
        client.close()


def _told(folder: Path, flow_id: str) -> list[int]:
    """Return how many segments each event of the flow tells of."""
    return [len(one["segments"]) for one in added(folder) if one["flow_id"] == flow_id]
