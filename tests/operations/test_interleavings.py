"""Requests that meet: what one reads, another changes before the first one writes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from tams_gateway.domain.errors import Invalid, Refusal
from tams_gateway.jobs import deletion
from tams_gateway.jobs.lease import Lease
from tams_gateway.operations import deletions, flows, properties, segment_posts, segments
from tams_gateway.operations.gateway import Gateway, Limits
from tams_gateway.operations.messages import Request, Response
from tams_gateway.storage.errors import ConflictError, StoreError
from tams_gateway.testing.samples import flow, segment
from tests.in_memory import Clock, Meddled, gateway_in_memory

Operation = Callable[[Gateway, Request], Response]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metadata() -> Meddled:
    return Meddled()


@pytest.fixture
def gateway(metadata: Meddled, clock: Clock) -> Gateway:
    return gateway_in_memory(metadata, clock, Limits(async_deletion_threshold=2))


def call(
    gateway: Gateway, operation: Operation, path: dict[str, str], body: Any = None
) -> Response:
    """Run an operation as the pipeline does: again where another writer was faster."""
    request = Request(method="", path=path, body=b"" if body is None else json.dumps(body).encode())
    for _ in range(5):
        try:
            return operation(gateway, request)
        except ConflictError:
            continue
    raise AssertionError("conflicts without end")


def put(gateway: Gateway, document: dict[str, Any]) -> Response:
    return call(gateway, flows.put_flow, {"flowId": document["id"]}, document)


def post(gateway: Gateway, document: dict[str, Any], *timeranges: str) -> None:
    path = {"flowId": document["id"]}
    posted = [segment(timerange) for timerange in timeranges]
    assert 201 == call(gateway, segment_posts.post_segments, path, posted).status


def timeranges(gateway: Gateway, document: dict[str, Any]) -> list[str]:
    shown = call(gateway, segments.get_segments, {"flowId": document["id"]})
    return [one["timerange"] for one in json.loads(shown.body)]


def events(gateway: Gateway) -> list[tuple[str, dict[str, Any]]]:
    return [(one.type, json.loads(one.body)) for one in gateway.metadata.events(None, 100).items]


def test_a_new_flow_never_takes_over_segments_that_are_going(
    gateway: Gateway, metadata: Meddled
) -> None:
    """The flow came, was filled and went while the PUT was under way."""
    document = flow()

    def come_and_go() -> None:
        put(gateway, document)
        post(gateway, document, "[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0)")
        gone = call(gateway, deletions.delete_flow, {"flowId": document["id"]})
        assert 202 == gone.status

    metadata.before_apply(come_and_go)
    assert 201 == put(gateway, document).status

    assert [] == timeranges(gateway, document)


def test_a_correction_meets_a_first_segment(gateway: Gateway, metadata: Meddled) -> None:
    """R-FLW-11, R-SEG-27: the segment that came meanwhile relies on the container."""
    document = flow()
    put(gateway, document)
    metadata.before_apply(lambda: post(gateway, document, "[0:0_1:0)"))

    with pytest.raises(Invalid, match="/container"):
        put(gateway, {**document, "container": "video/mp4"})


def test_two_collections_do_not_close_a_circle_together(
    gateway: Gateway, metadata: Meddled
) -> None:
    """R-COL-04."""
    a, b, c, d = (flow() for _ in range(4))
    for document in (a, b, c, d):
        put(gateway, document)

    def collect(collector: dict[str, Any], member: dict[str, Any]) -> Response:
        path = {"flowId": collector["id"]}
        return call(gateway, properties.put_flow_collection, path, [{"id": member["id"]}])

    collect(b, c)
    collect(d, a)
    metadata.before_apply(lambda: collect(c, d))

    with pytest.raises(Invalid, match="collects this flow"):
        collect(a, b)


def test_a_member_of_a_sibling_that_goes_meanwhile_is_read_again(
    gateway: Gateway, metadata: Meddled
) -> None:
    source_id = flow()["source_id"]
    first, second, member = flow(), flow(), flow()
    for document in (member, *(one | {"source_id": source_id} for one in (first, second))):
        put(gateway, document)
    items = [{"id": member["id"]}]
    call(gateway, properties.put_flow_collection, {"flowId": first["id"]}, items)
    other = flow()
    put(gateway, other)
    metadata.after_find(lambda: call(gateway, deletions.delete_flow, {"flowId": member["id"]}))

    path = {"flowId": second["id"]}
    put_other = call(gateway, properties.put_flow_collection, path, [{"id": other["id"]}])

    assert 204 == put_other.status


def test_the_event_of_a_deletion_covers_what_came_last(gateway: Gateway, metadata: Meddled) -> None:
    """R-EVT-01, R-EVT-06."""
    document = flow()
    put(gateway, document)
    metadata.before_apply(lambda: post(gateway, document, "[50:0_60:0)"))

    call(gateway, deletions.delete_flow, {"flowId": document["id"]})

    told = [body["timerange"] for type_, body in events(gateway) if type_.endswith("s_deleted")]
    assert ["[50:0_60:0)"] == told


def test_nothing_is_told_of_a_flow_behind_its_end(
    gateway: Gateway, metadata: Meddled, clock: Clock
) -> None:
    """R-EVT-06: the flow went while the runner deleted some of its segments."""
    document = flow()
    put(gateway, document)
    post(gateway, document, "[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0)")
    path = {"flowId": document["id"]}
    assert 202 == call(gateway, deletions.delete_segments, path).status
    lease = Lease("jobs", metadata, clock.now_ns)
    assert lease.acquire()
    metadata.before_apply(lambda: call(gateway, deletions.delete_flow, path))

    while deletion.carry_out(gateway, lease, structlog.get_logger()):
        pass

    assert "flows/deleted" == [type_ for type_, _ in events(gateway) if "flows" in type_][-1]


def test_a_segment_posted_after_a_deletion_was_accepted_stays_whatever_the_clock_says(
    gateway: Gateway, metadata: Meddled, clock: Clock
) -> None:
    """G-14: the clock was set back meanwhile."""
    document = flow()
    put(gateway, document)
    post(gateway, document, "[0:0_1:0)", "[1:0_2:0)", "[2:0_3:0)")
    assert 202 == call(gateway, deletions.delete_segments, {"flowId": document["id"]}).status
    clock.forward(-10)
    post(gateway, document, "[5:0_6:0)")

    lease = Lease("jobs", metadata, clock.now_ns)
    clock.forward(11)
    assert lease.acquire()
    while deletion.carry_out(gateway, lease, structlog.get_logger()):
        pass

    assert ["[5:0_6:0)"] == timeranges(gateway, document)


def test_a_flow_that_is_gone_was_deleted_though_the_store_fails_behind_it(
    gateway: Gateway, metadata: Meddled
) -> None:
    document = flow()
    put(gateway, document)
    post(gateway, document, "[0:0_1:0)")

    def fail() -> None:
        raise StoreError("away")

    metadata.before_apply(lambda: metadata.before_apply(fail))

    assert 204 == call(gateway, deletions.delete_flow, {"flowId": document["id"]}).status
    with pytest.raises(Refusal, match="no flow"):
        call(gateway, flows.get_flow, {"flowId": document["id"]})
