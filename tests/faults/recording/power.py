"""Clients at work on a recorded server, and what must be there after a power cut at any moment."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import Ingest
from tams_gateway.testing.transports import Http
from tests.faults.looks import Documents, Segments, backend_of, digest, everything, ingest, urls
from tests.faults.model import Known, State, owner
from tests.faults.recording.disk import EVERYTHING, NOTHING, Choice, Disk, any_choice
from tests.faults.recording.opened import A_DAY, Opened, opened, settings
from tests.faults.recording.recorder import Kind, Record
from tests.faults.writers import Writer
from tests.servers.process import serving

WRITERS: Final = 4


class Moment(msgspec.Struct):
    """A request: where the record stood before it and with its answer, and the states around it."""

    began: int
    before: State
    after: State
    answered: int | None = None
    copied: str | None = None
    """The object of which the request asks for a copy."""


class Noting(Writer):
    """A writer that notes where the record stood, and asks for copies of instances, too."""

    def __init__(self, number: int, shared: str, seed: int, record: Record, second: str) -> None:
        super().__init__(number, shared, seed)
        self.moments: list[Moment] = []
        self._luck = random.Random(seed)
        self._record = record
        self._second = second

    def ingest(self, client: Client, requests: int) -> None:
        """Make so many moves."""
        for _ in range(requests):
            self._luck.choice(_MOVES)(self, client)

    def _send(self, after: State, client: Client, method: str, path: str, **body: Any) -> Answer:
        copied = path.split("/")[2] if path.endswith("/instances") else None
        moment = Moment(self._record.position(), self.state, after, copied=copied)
        self.moments.append(moment)
        answer = super()._send(after, client, method, path, **body)
        moment.answered = self._record.position()
        return answer

    def copy(self, client: Client) -> None:
        """Ask for a copy of an uploaded object."""
        asked = {one.copied for one in self.moments}
        for object_id in sorted(self.state.used() & self.state.digests.keys() - asked):
            path = f"/objects/{object_id}/instances"
            self._send(self.state, client, "POST", path, json={"storage_id": self._second})
            return


_MOVES: Sequence[Callable[[Noting, Client], None]] = (
    *([Noting.make_flow] * 2),
    Noting.set_tag,
    *([Noting.upload] * 6),
    *([Noting.post_one] * 3),
    *([Noting.post_many] * 2),
    *([Noting.reuse] * 2),
    Noting.delete_segments,
    Noting.copy,
)


class Run(msgspec.Struct, frozen=True):
    """What was recorded; cuts before `began` find no clients yet."""

    record: Record
    writers: list[Noting]
    began: int

    def points(self) -> list[int]:
        """Return the positions just before and behind each sync."""
        syncs = [n for n, one in enumerate(self.record.entries()) if one.kind is Kind.SYNC]
        return sorted({*syncs, *(n + 1 for n in syncs)})


def recorded(
    folder: Path, library: Path, seed: int, requests: int, durability: str = "power"
) -> Run:
    """Let clients of two worker processes make so many requests each, recorded."""
    root = folder / "disk"
    root.mkdir()
    settings(root, durability)
    record = Record(root, folder / "record")
    environment = {
        **record.environment(library),
        "TAMS_GATEWAY_CONFIG": str(root / "gateway.toml"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with serving(folder, "--workers", "2", environment=environment) as server:
        client = Client(Http(f"http://127.0.0.1:{server.port}"))
        with closing(client), ThreadPoolExecutor(WRITERS) as pool:
            ingest = Ingest(client)
            shared = [ingest.flow(tags={}) for _ in range(WRITERS // 2)]
            second = ingest.storage_backends()[1]["id"]
            writers = [Noting(n, shared[n // 2], seed + n, record, second) for n in range(WRITERS)]
            began = record.position()
            working = [pool.submit(one.ingest, client, requests) for one in writers]
            for one in working:
                one.result()
        server.kill()
    return Run(record, writers, began)


class Cuts:
    """Cuts the power in a recorded run, and judges what is there when it is back."""

    def __init__(self, run: Run, folder: Path, seed: int) -> None:
        self._run = run
        self._folder = folder
        self._luck = random.Random(seed)
        self._number = 0

    def cut(self, points: Sequence[int], disk: Disk, choice: Choice | None = None) -> None:
        """Cut at each of these positions, in one walk; raises AssertionError for what is wrong.

        Behind a sync nothing else is there, and at other points anything, unless a choice is given.
        """
        wanted = Counter(points)
        before = None
        for position, entry in enumerate([*self._run.record.entries(), None]):
            for _ in range(wanted[position]):
                luck = NOTHING if before is Kind.SYNC and self._luck.random() < 0.5 else None
                self._judge(position, disk, choice or luck or any_choice(self._luck))
            if entry is not None:
                disk.follow(entry)
                before = entry.kind

    def _judge(self, position: int, disk: Disk, choice: Choice) -> None:
        self._number += 1
        image = self._folder / f"image-{self._number}"
        disk.cut(image, self._luck, choice)
        where = f"position {position}, {choice}, files in {image}"
        with opened(image) as gateway:
            try:
                judge(gateway, self._run, position)
            except AssertionError as error:
                raise AssertionError(f"{where}: {error}") from error
        _remove(image)

    def everything(self, target: Path) -> None:
        """Write the directory as the record has it, with all that was ever done."""
        disk = Disk(self._run.record.root)
        for entry in self._run.record.entries():
            disk.follow(entry)
        disk.cut(target, self._luck, EVERYTHING)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


class Judged(msgspec.Struct):
    """What one writer knew when the power went: `maybe` is there if the last request came through.

    `copies` are the objects whose copies were acknowledged.
    """

    writer: Writer
    state: State
    maybe: State | None
    copies: set[str]

    def shown_by(self, seen: Mapping[str, Known]) -> State:
        """Return which of the two is seen."""
        for state in (self.maybe, self.state):
            if state is not None and state.shows(seen):
                return state
        raise AssertionError(f"{seen}\nis neither {self.state}\nnor {self.maybe}")


def known(writer: Noting, position: int) -> Judged:
    """Return what a writer knew at a position of the record."""
    past = [one for one in writer.moments if one.began <= position]
    behind = writer.moments[len(past) :]
    copies = {
        one.copied
        for one in past
        if one.copied is not None and one.answered is not None and one.answered <= position
    }
    if not past:
        first = writer.moments[0].before if writer.moments else writer.state
        return Judged(writer, first, None, copies)
    last = past[-1]
    if last.answered is None or last.answered > position:
        return Judged(writer, last.before, last.after, copies)
    return Judged(writer, behind[0].before if behind else writer.state, None, copies)


def judge(gateway: Opened, run: Run, position: int) -> None:
    """Raise AssertionError unless all that was acknowledged is there, whole, and nothing is half.

    Then lets a day pass, with all the work in the background, and looks again: what was accepted
    is done, no file is left that belongs to nothing, and new writes are taken.
    """
    gateway.check()
    writers = [known(one, position) for one in run.writers] if position >= run.began else []
    documents, segments = everything(gateway.client)
    if writers:
        states = [one.shown_by(_seen(one, documents, segments)) for one in writers]
        assert documents.keys() == {id_ for one in states for id_ in one.flows}
    for one in writers:
        _check_uploads(gateway.client, one)
    _check_objects(gateway.client, segments, writers)

    gateway.ahead = A_DAY
    ingest(gateway.client)
    gateway.work()
    documents, segments = everything(gateway.client)
    for one in writers:
        # The deletions that were accepted are carried out; of one in flight nobody knows.
        settled = Judged(one.writer, one.state.settled(), one.maybe, one.copies)
        settled.shown_by(_seen(one, documents, segments))
    requests = gateway.client.listed("/flow-delete-requests", query="limit=1000")
    assert all(one["status"] == "done" for one in requests), requests
    wanted = _check_objects(gateway.client, segments, writers)
    _check_copies(segments, writers)
    strays = gateway.files() - wanted
    in_flight = {
        digest
        for one in writers
        if one.maybe is not None
        for digest in set(one.maybe.digests.values()) - set(one.state.digests.values())
    }
    # An upload that was cut off between its bytes and its note leaves them until its object goes.
    assert not [one for one in strays if one.partition(" ")[2] not in in_flight], strays
    # A backend sweeps at an upload, and this one has just had one.
    assert not list(gateway.folder.glob("main/@uploads/*"))


def _seen(one: Judged, documents: Documents, segments: Segments) -> dict[str, Known]:
    """Return what there is of a writer's flows, as far as it is the writer's."""
    number = one.writer.number
    flows = one.state.flows.keys() | (one.maybe.flows.keys() if one.maybe else set())
    return {
        flow_id: Known(
            {
                name: value
                for name, value in documents[flow_id].get("tags", {}).items()
                if name.partition(".")[0] == f"w{number}"
            },
            {
                one["timerange"]: one["object_id"]
                for one in segments[flow_id]
                if owner(one["timerange"]) == number
            },
        )
        for flow_id in flows
        if flow_id in documents
    }


def _check_uploads(client: Client, one: Judged) -> None:
    """What was uploaded and is not registered yet is there all the same."""
    for object_id, allocated in one.state.allocated.items():
        if allocated.uploaded and (one.maybe is None or object_id in one.maybe.allocated):
            found = client.get(allocated.target.partition("?")[0])
            assert one.state.digests[object_id] == digest(found), f"{object_id}: {found}"


def _check_objects(client: Client, segments: Segments, writers: Sequence[Judged]) -> Counter[str]:
    """Return what files are to be there for the segments: each was uploaded so."""
    digests = {id_: digest for one in writers for id_, digest in one.state.digests.items()}
    for one in writers:
        digests |= one.maybe.digests if one.maybe else {}
    wanted: Counter[str] = Counter()
    for object_id, url in sorted(urls(client, segments)):
        content = digest(client.get(url))
        assert content == digests.get(object_id, content), f"{object_id} at {url}"
        wanted[f"{backend_of(url)} {content}"] += 1
    return wanted


def _check_copies(segments: Segments, writers: Sequence[Judged]) -> None:
    """Each object that is still there has the copies that were acknowledged."""
    copies = {object_id for one in writers for object_id in one.copies}
    for one in (one for found in segments.values() for one in found):
        if one["object_id"] in copies:
            assert 2 == len(one["get_urls"]), one
