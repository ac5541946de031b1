"""Whatever is sent, nothing breaks, and what is refused changes nothing.

One fuzz draws requests from the official document, the other mutates the traffic of a client.
"""

import itertools
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis import GenerationMode

from tams_gateway.operations import kinds
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.query import Query, SegmentQuery
from tams_gateway.testing.client import Answer
from tests.deployments import Deployment
from tests.spec.official import FOLDER, needs_document
from tests.spec.traffic import CHANGING, FUZZ, Request, World, as_request, mutations

OWN = (kinds.KEY, kinds.LEASE, kinds.CURSOR)
"""What the gateway keeps for itself; everything else is the clients'."""

EXAMPLES = 3
"""Of each operation, valid or not, through each app; thousands: `tests.reliability fuzz`."""

in_process = pytest.mark.deployments("wsgi-memory", "asgi-memory")


def dump(gateway: Gateway) -> list[object]:
    """Return all that the metadata store holds of clients."""
    found: list[object] = []
    for kind in kinds.ALL:
        if kind in OWN:
            continue
        page = gateway.metadata.find(Query(kind, limit=100_000))
        assert not page.more
        found += [(kind.name, record) for record in page.items]
        if kind.segments:
            for record in page.items:
                life = int(record.fields["life"])  # type: ignore[arg-type]
                query = SegmentQuery(record.id, life, limit=100_000)
                found += gateway.metadata.segments(query).items
    return found


def send(deployment: Deployment, request: Request) -> Answer:
    """Send a request, and insist on no failure, and no change where it is refused."""
    method, target, body = request
    before = dump(deployment.gateway)
    answer = deployment.client.request(method, target, body=body)
    assert answer.status < 500, f"{request}: {answer.body!r}"
    if answer.status >= 400 or method not in CHANGING:
        assert dump(deployment.gateway) == before, f"{request}: {answer.status} changed something"
    return answer


@in_process
def test_mutated_traffic_breaks_nothing(deployment: Deployment) -> None:
    """R-GEN-02, R-GEN-05, R-EVT-05: no 5xx, and no trace of what was refused."""
    world = World(deployment.client)

    @settings(FUZZ, max_examples=300)
    @given(mutations(world))
    def fuzz(request: Request) -> None:
        send(deployment, request)

    fuzz()


@in_process
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"' + b"a" * 1_000_000,
        b"1" * 10_000,
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'"\\ud800"',
        b"-",
        b"Infinity",
    ],
)
def test_hostile_bodies_are_refused(deployment: Deployment, body: bytes) -> None:
    """R-GEN-10: depth and size have limits with clear errors."""
    world = World(deployment.client)
    for method, path, _, document in world.requests():
        anything = path.endswith(("/label", "/description")) or path.startswith("/media/")
        if document is not None and not anything:
            answer = send(deployment, (method, path, body))
            assert answer.status in (400, 403), f"{method} {path}: {answer.status}"


@needs_document
@in_process
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_requests_of_the_document_break_nothing(
    deployment: Deployment, mode: GenerationMode
) -> None:
    """R-GEN-02, R-GEN-05: valid and invalid ones, on ids that exist and on others."""
    document = schemathesis.openapi.from_path(FOLDER / "tams-8.2.openapi.json")
    for found in document.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.method.upper() == "HEAD":
            continue
        fuzz_operation(deployment, operation, mode)


def fuzz_operation(deployment: Deployment, operation: Any, mode: GenerationMode) -> None:
    known = World(deployment.client).ids()
    meets = itertools.cycle((True, False))

    @settings(FUZZ, max_examples=EXAMPLES)
    @given(operation.as_strategy(generation_mode=mode))
    def fuzz(case: Any) -> None:
        send(deployment, as_request(case, known if next(meets) else {}))

    fuzz()
