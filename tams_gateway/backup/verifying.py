"""Verifies a store: the bytes of every object are read, and every segment's object looked up."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from typing import Literal

import msgspec

from tams_gateway.backup.making import instances
from tams_gateway.backup.progress import Track
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.operations.kinds import FLOW, OBJECT
from tams_gateway.storage.errors import MissingError, StoreError
from tams_gateway.storage.objects import Place
from tams_gateway.storage.query import After, Query, SegmentQuery
from tams_gateway.storage.records import Kind, Record

_PAGE = 1000


class Fault(msgspec.Struct, frozen=True):
    """Something wrong: what it is, with which object, and where."""

    kind: Literal["missing", "size", "changed", "unreadable", "no_object"]
    object_id: str
    place: str
    detail: str


class Report(msgspec.Struct):
    """What was read, in instances and bytes; of `unproven` ones no checksum is known."""

    instances: int = 0
    bytes: int = 0
    unproven: int = 0
    segments: int = 0
    faults: list[Fault] = []


class Pace:
    """Lets through so many bytes a second; all of them with None."""

    def __init__(self, rate: int | None) -> None:
        self._rate = rate
        self._due = time.monotonic()

    def wait(self, count: int) -> None:
        """Return when so many bytes may have been read."""
        if self._rate is not None:
            now = time.monotonic()
            self._due = max(self._due, now - 1) + count / self._rate
            if self._due > now:
                threading.Event().wait(self._due - now)


def verify(gateway: Gateway, track: Track, pace: Pace) -> Report:
    """Read all that the store holds, while the gateway runs; nothing is changed.

    Raises `StoreError` where the metadata store does not answer.
    """
    verifying = _Verifying(gateway, pace)
    for record in track("objects", _all(gateway, OBJECT), 0):
        verifying.check_object(media_objects.from_record(record).object)
    for record in track("flows", _all(gateway, FLOW), 0):
        verifying.check_flow(record)
    return verifying.report


def _all(gateway: Gateway, kind: Kind) -> Iterator[Record]:
    after, more = None, True
    while more:
        page = gateway.metadata.find(Query(kind, after=after, limit=_PAGE))
        yield from page.items
        more = page.more
        after = After(None, page.items[-1].id) if page.items else None


class _Verifying:
    def __init__(self, gateway: Gateway, pace: Pace) -> None:
        self.report = Report()
        self._gateway = gateway
        self._pace = pace

    def check_object(self, media_object: MediaObject) -> None:
        """Read every instance; what clients changed meanwhile is no fault."""
        for instance in instances(media_object):
            fault = self._fault(media_object, instance)
            if fault is not None and instance in self._now(media_object.id):
                self.report.faults.append(fault)

    def _now(self, object_id: str) -> list[Instance]:
        stored = media_objects.load(self._gateway, [object_id]).get(object_id)
        return [] if stored is None else instances(stored.object)

    def _fault(self, media_object: MediaObject, instance: Instance) -> Fault | None:
        if media_object.state == "allocated" and not media_objects.has_bytes(
            self._gateway, instance
        ):
            return None

        def fault(kind: Literal["missing", "size", "changed", "unreadable"], detail: str) -> Fault:
            return Fault(kind, media_object.id, instance.place, detail)

        if instance.storage_id not in self._gateway.backends:
            return fault("unreadable", "no section of the config has the id of its backend")
        if not media_objects.has_bytes(self._gateway, instance):
            return fault("missing", "nothing was ever uploaded")
        try:
            size, digest = self._read(instance)
        except MissingError as error:
            if media_object.state == "allocated" and instance.version is None:
                return None
            return fault("missing", str(error))
        except StoreError as error:
            return fault("unreadable", str(error))
        self.report.instances += 1
        self.report.bytes += size
        if media_object.size not in (None, size):
            return fault("size", f"expected {media_object.size} bytes, found {size}")
        if media_object.sha256 not in (None, digest):
            return fault("changed", f"expected SHA-256 {media_object.sha256}, found {digest}")
        self.report.unproven += media_object.sha256 is None
        return None

    def _read(self, instance: Instance) -> tuple[int, str]:
        store = self._gateway.backends[str(instance.storage_id)].store
        digest, size = sha256(), 0
        with closing(store.read(Place(instance.key, instance.version))) as chunks:
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                self._pace.wait(len(chunk))
        return size, digest.hexdigest()

    def check_flow(self, record: Record) -> None:
        """See that each segment's object is registered."""
        life = record.fields["life"]
        assert isinstance(life, int)
        after, more = None, True
        while more:
            page = self._gateway.metadata.segments(
                SegmentQuery(record.id, life, after=after, limit=_PAGE)
            )
            self.report.segments += len(page.items)
            ids = {one.object_id for one in page.items}
            ids |= {one.init_object_id for one in page.items if one.init_object_id is not None}
            for object_id in sorted(ids - self._registered(ids)):
                self._note_lost(record.id, life, object_id)
            more = page.more
            after = page.items[-1].end_ns if page.items else None

    def _registered(self, ids: set[str]) -> set[str]:
        found = media_objects.load(self._gateway, ids)
        return {id_ for id_, one in found.items() if one.object.state == "registered"}

    def _note_lost(self, flow_id: str, life: int, object_id: str) -> None:
        query = SegmentQuery(flow_id, life, object_id=object_id, limit=1)
        if self._gateway.metadata.segments(query).items and not self._registered({object_id}):
            detail = "a segment refers to an object that is not there"
            self.report.faults.append(Fault("no_object", object_id, f"flow {flow_id}", detail))
