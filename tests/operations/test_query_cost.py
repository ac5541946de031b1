"""A query by time costs the same in a long flow as in a short one, over HTTP."""

import statistics
import time
from collections.abc import Iterator

import pytest

from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment as external
from tests.deployments import Deployment

SHORT, LONG = 500, 50_000
TRIES = 5

QUERIES = (
    "timerange=[{middle}:0_{middle}:5)",
    "timerange=[{middle}:0_{later}:0)&limit=100",
    "timerange=[{middle}:0_&limit=10",
    "timerange=_{middle}:0)&reverse_order=true&limit=10",
    "reverse_order=true&limit=1",
    "limit=100",
)


@pytest.mark.deployments("wsgi-sqlite")
def test_the_length_of_a_flow_does_not_matter(deployment: Deployment) -> None:
    """R-SEG-02, R-SEG-03: one segment, a page, the latest, from the middle on; at most twice."""
    ingest = Ingest(deployment.client)
    flows = {}
    for count in (SHORT, LONG):
        flows[count] = ingest.flow()
        ingest.add_many(flows[count], [external(seconds(at, at + 1)) for at in range(count)])

    for query in QUERIES:
        ratios = []
        for ratio in measured(deployment.client, flows, query):
            ratios.append(ratio)
            if ratio <= 2:
                break
        assert ratios[-1] <= 2, f"{query}: {ratios}"


def measured(client: Client, flows: dict[int, str], query: str) -> Iterator[float]:
    """Yield, a few times, how much longer a query takes in the long flow: medians, interleaved."""
    targets = {
        count: f"/flows/{flow_id}/segments?"
        + query.format(middle=count // 2, later=count // 2 + 100)
        for count, flow_id in flows.items()
    }
    for _ in range(TRIES):
        taken: dict[int, list[float]] = {SHORT: [], LONG: []}
        for _ in range(21):
            for count, target in targets.items():
                began = time.perf_counter()
                assert client.get(target).status == 200
                taken[count].append(time.perf_counter() - began)
        yield statistics.median(taken[LONG]) / statistics.median(taken[SHORT])
