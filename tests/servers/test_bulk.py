"""60 000 segments in one POST, under each server's own time-outs (issue 3, B23)."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment as external
from tams_gateway.testing.transports import Http
from tams_gateway.testing.waiting import eventually
from tests.servers.process import SERVERS, serving

COUNT = 60_000
GUESTS = Path(__file__).parents[1] / "plugins" / "guest_sink"


def with_a_sink(folder: Path) -> Mapping[str, str]:
    """Return an environment in which a sink records all events in a file of the folder."""
    config = folder / "gateway.toml"
    config.write_text(f'[[events]]\nplugin = "guest-sink"\npath = "{folder / "events"}"\n')
    return {"TAMS_GATEWAY_CONFIG": str(config), "PYTHONPATH": str(GUESTS)}


@pytest.mark.parametrize("server", SERVERS)
def test_sixty_thousand_segments_go_in_within_ten_seconds(tmp_path: Path, server: str) -> None:
    """Issue 3, B23, R-SEG-10, R-EVT-02: one transaction, told in parts of at most 1000."""
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
        events = tmp_path / "events"
        assert eventually(lambda: sum(_told(events, flow_id)) >= COUNT, 20)
        assert _told(events, flow_id) == [1000] * (COUNT // 1000)
        client.close()


def _told(events: Path, flow_id: str) -> list[int]:
    """Return how many segments each event tells of, in the order of delivery."""
    lines = events.read_bytes().splitlines(keepends=True)
    found = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [
        len(one["event"]["segments"])
        for one in found
        if one["type"] == "flows/segments_added" and one["event"]["flow_id"] == flow_id
    ]
