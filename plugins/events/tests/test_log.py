"""The sink `log`: a line for each event."""

from pathlib import Path

from structlog.testing import capture_logs

from tams_gateway.settings import load
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.waiting import eventually
from tests.deployments import in_process

CONFIG = """
metadata = { plugin = "memory" }
objects = { main = { plugin = "memory" } }
[[events]]
plugin = "log"
"""


def test_each_event_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    with in_process("wsgi", load(path, {}), []) as deployment, capture_logs() as lines:
        ingest = Ingest(deployment.client)
        flow_id = ingest.flow()
        ingest.add(flow_id, "[0:0_1:0)")

        def told() -> list[object]:
            return [one["event_type"] for one in lines if one["event"] == "tams_event"]

        assert eventually(lambda: len(told()) == 3)
        assert told() == ["sources/created", "flows/created", "flows/segments_added"]
        last = [one for one in lines if one["event"] == "tams_event"][-1]
        assert last["flow_id"] == flow_id
        assert last["source_id"] == ingest.document(flow_id)["source_id"]
        assert last["body"]["segments"][0]["timerange"] == "[0:0_1:0)"
        assert deployment.client.get("/service/webhooks").status == 404
