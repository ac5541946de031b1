"""`kill -9` at every step: what was acknowledged is there once, what was not wholly or not at all.

A step is a call by which the gateway changes its directory or syncs it (`recording/`). It is killed
before that, and opened again. Of requests with many steps each fourth to eighth is taken, counted
from a random one; TAMS_KILL_EVERY=1 in the environment takes all.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from tams_gateway.operations.kinds import DELETION_REQUEST, OBJECT
from tams_gateway.storage.query import Present, Query
from tams_gateway.testing.samples import flow as sample_flow
from tests.faults.cases import CASES, Case, Fact, Prepared, prepare
from tests.faults.looks import backend_of, digest, everything, ingest, urls
from tests.faults.recording.opened import A_DAY, Opened, opened
from tests.faults.recording.recorder import build
from tests.faults.recording.steps import Attempt, Killer, Request

EVERY: Final = int(os.environ.get("TAMS_KILL_EVERY", "0"))
pytestmark = pytest.mark.timeout(900 if EVERY else 120)

SOON: Final = 120
"""Seconds after which a dead process holds nothing any more, and what failed is tried again."""


@pytest.fixture(scope="module")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killer]:
    try:
        library = build(tmp_path_factory.mktemp("recorder"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with Killer(library, tmp_path_factory.mktemp("killer")) as killer:
        yield killer


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"))


@pytest.mark.parametrize("made", CASES)
def test_a_kill_at_any_step_leaves_all_or_nothing(
    made: Callable[[Prepared], Case], killer: Killer, prepared: Prepared, tmp_path: Path
) -> None:
    """R-SEG-15, R-STO-12, R-DEL-03, R-INS-01, R-INS-07."""
    case = made(prepared)
    target, every = tmp_path / "attempt", EVERY or case.every
    steps = []
    for attempt in killer.attempts(case.request, prepared.folder, target, every):
        steps.append(attempt.step)
        try:
            judge(attempt, case, prepared)
        except AssertionError as error:
            raise AssertionError(f"step {attempt.step}: {error}") from error
    assert 10 < len(steps), steps


def judge(attempt: Attempt, case: Case, prepared: Prepared) -> None:
    """Raise AssertionError unless the request was done wholly or not at all, and can be repeated.

    Then it lets a day pass: no bytes are left that belong to nothing, and in the end none at all.
    """
    answered = attempt.status is not None
    assert attempt.killed or answered
    assert attempt.status in (None, 200, 201, 202, 204)
    before = prepared.facts
    after = before.difference(case.gone).union(case.new)
    with opened(attempt.folder) as gateway:
        gateway.check()
        now = seen(gateway, prepared)
        if case.gradually:
            assert before & after <= now <= before | after, now ^ after
        else:
            assert now == after or (now == before and not answered), now ^ after

        gateway.ahead = SOON
        gateway.work()
        settled = seen(gateway, prepared)
        assert settled == after or (settled == now == before and not answered), settled ^ after
        assert not unsettled(gateway)

        method, path, options, *_ = case.request
        repeated = gateway.client.request(method, path, **options)
        assert repeated.status < 500, repeated
        gateway.work()
        repeatedly = seen(gateway, prepared)
        assert repeatedly == after, repeatedly ^ after

        files = Counter(f"{fact[2]} {fact[3]}" for fact in after if fact[0] == "media")
        files += ingest(gateway.client, prepared.flows[case.grows])
        gateway.ahead = A_DAY
        gateway.work()
        assert gateway.files() == files
        for fact in after:
            if fact[0] == "flow":
                assert gateway.client.delete(f"/flows/{fact[1]}").status in (202, 204)
        gateway.work()
        assert not gateway.files()


def seen(gateway: Opened, prepared: Prepared) -> frozenset[Fact]:
    """Look at everything; raises AssertionError for what contradicts itself."""
    client = gateway.client
    documents, segments = everything(client)
    uploads = {target: client.get(target.partition("?")[0]) for target in prepared.targets.values()}
    facts: list[Fact] = [
        *(("flow", flow_id) for flow_id in documents),
        *(
            ("segment", flow_id, one["timerange"], one["object_id"])
            for flow_id, found in segments.items()
            for one in found
        ),
        *(
            ("media", object_id, backend_of(url), digest(client.get(url)))
            for object_id, url in urls(client, segments)
        ),
        *(("upload", target, digest(one)) for target, one in uploads.items() if one.status != 404),
    ]
    assert len(facts) == len(set(facts)), facts
    return frozenset(facts)


def unsettled(gateway: Opened) -> list[str]:
    """Return what the background has left undone, by id."""
    kinds = (OBJECT, DELETION_REQUEST)
    queries = [Query(kind, (Present("due"),)) for kind in kinds]
    found = [gateway.gateway.metadata.find(query) for query in queries]
    return [record.id for page in found for record in page.items]


def test_a_first_start_that_is_killed_at_any_step_is_made_good_by_the_next(
    killer: Killer, tmp_path: Path
) -> None:
    """No hand is needed."""
    empty, target = tmp_path / "empty", tmp_path / "attempt"
    empty.mkdir()
    document = sample_flow()
    path = f"/flows/{document['id']}"
    request = Request("PUT", path, {"json": document}, starts=True)
    steps = []
    for attempt in killer.attempts(request, empty, target, EVERY or 8):
        steps.append(attempt.step)
        with opened(attempt.folder) as gateway:
            gateway.check()
            status = gateway.client.get(path).status
            assert status == 200 or (status == 404 and attempt.status is None), attempt
            gateway.ahead = SOON
            files = ingest(gateway.client)
            assert files == gateway.files()
    assert 10 < len(steps), steps
