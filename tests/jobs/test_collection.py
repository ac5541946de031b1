"""Collection of objects by two rules, and what becomes of instances."""

import pytest
import structlog
from msgspec.structs import replace

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.domain.timerange import SECOND
from tams_gateway.jobs import collection, copies
from tams_gateway.jobs.lease import Lease
from tams_gateway.jobs.runner import Job
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Gateway
from tams_gateway.storage.errors import ConflictError, MissingError, StoreError
from tams_gateway.storage.objects import Place
from tams_gateway.storage.query import Page, Query
from tams_gateway.storage.records import Record
from tests.in_memory import MAIN, OTHER, Clock

from .conftest import keep

Log = structlog.typing.FilteringBoundLogger


def _there(gateway: Gateway, storage_id: str = MAIN, key: str = "2023/one.ts") -> bool:
    try:
        gateway.backends[storage_id].store.stat(Place(key))
    except MissingError:
        return False
    return True


def _all(job: Job, gateway: Gateway, lease: Lease, log: Log) -> None:
    while job(gateway, lease, log):
        pass


def test_an_allocated_object_stays_until_its_time_and_then_goes_with_its_bytes(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log
) -> None:
    """R-STO-12: not before `min_object_timeout`, and the bytes that were uploaded as well."""
    keep(gateway, state="allocated", expires=clock.ns + 300 * SECOND)

    clock.forward(299)
    lease.acquire()
    _all(collection.collect, gateway, lease, log)
    assert media_objects.load(gateway, ["one"])
    assert _there(gateway)

    clock.forward(2)
    lease.acquire()
    _all(collection.collect, gateway, lease, log)
    assert not media_objects.load(gateway, ["one"])
    assert not _there(gateway)


def test_a_registration_that_comes_behind_the_collector_fails(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log
) -> None:
    """R-OBJ-10: the collector goes through the object's version, and so does a registration."""
    keep(gateway, state="allocated", expires=clock.ns - 1)
    stored = media_objects.load(gateway, ["one"])["one"]
    assert collection.collect(gateway, lease, log)

    with pytest.raises(ConflictError):
        gateway.metadata.apply([media_objects.put(stored.object, stored.version)])


def test_an_object_registered_between_the_look_and_the_collection_is_kept(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-OBJ-10: the collector, which comes behind the registration, fails."""
    keep(gateway, state="allocated", expires=clock.ns - 1)
    stored = media_objects.load(gateway, ["one"])["one"]
    registered = replace(stored.object, state="registered", expires=None)
    find = gateway.metadata.find

    def find_and_register(query: Query) -> Page[Record]:
        found = find(query)
        gateway.metadata.apply([media_objects.put(registered, stored.version)])
        return found

    with monkeypatch.context() as patch:
        patch.setattr(gateway.metadata, "find", find_and_register)
        with pytest.raises(ConflictError):
            collection.collect(gateway, lease, log)

    assert not collection.collect(gateway, lease, log)
    assert media_objects.load(gateway, ["one"])["one"].object.state == "registered"
    assert _there(gateway)


def test_bytes_that_cannot_be_deleted_keep_their_record_and_are_tried_again(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(gateway, state="collected", expires=clock.ns - 1)
    store = gateway.backends[MAIN].store
    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", lambda places: dict.fromkeys(places, "disk on fire"))
        _all(collection.collect, gateway, lease, log)
    assert media_objects.load(gateway, ["one"])["one"].object.state == "collected"

    clock.forward(61)
    lease.acquire()
    _all(collection.collect, gateway, lease, log)
    assert not media_objects.load(gateway, ["one"])
    assert not _there(gateway)


def test_a_copy_is_advertised_when_its_bytes_are_there(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log
) -> None:
    """R-INS-01."""
    target = Instance(storage_id=OTHER, key="copy.ts", state="copying")
    made = keep(gateway, state="registered", uses=1)
    _add_instance(gateway, made, target, clock)

    _all(copies.settle, gateway, lease, log)

    instances = media_objects.load(gateway, ["one"])["one"].object.instances
    assert [one.state for one in instances] == ["ready", "ready"]
    copied = Place("copy.ts", instances[1].version)
    assert b"".join(gateway.backends[OTHER].store.read(copied)) == b"bytes"


def test_a_copy_that_fails_is_tried_again_later(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Instance(storage_id=OTHER, key="copy.ts", state="copying")
    made = keep(gateway, state="registered", uses=1)
    _add_instance(gateway, made, target, clock)

    def refuse(*_: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as patch:
        patch.setattr(gateway.backends[OTHER].store, "write", refuse)
        _all(copies.settle, gateway, lease, log)
    instances = media_objects.load(gateway, ["one"])["one"].object.instances
    assert [one.state for one in instances] == ["ready", "copying"]

    clock.forward(61)
    lease.acquire()
    _all(copies.settle, gateway, lease, log)
    assert _there(gateway, OTHER, "copy.ts")


def test_a_withdrawn_instance_loses_its_bytes(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log
) -> None:
    """R-INS-07: no more advertised first, then deleted."""
    stat = gateway.backends[OTHER].store.write("copy.ts", "video/mp2t", [b"bytes"])
    withdrawn = Instance(storage_id=OTHER, key="copy.ts", version=stat.version, state="withdrawn")
    made = keep(gateway, state="registered", uses=1)
    _add_instance(gateway, made, withdrawn, clock)

    _all(copies.settle, gateway, lease, log)

    assert not _there(gateway, OTHER, "copy.ts")
    assert [
        one.storage_id for one in media_objects.load(gateway, ["one"])["one"].object.instances
    ] == [MAIN]
    assert _there(gateway)


def test_a_copy_that_another_process_made_meanwhile_is_kept(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one was stopped between its last chunk and its note, and its lease went on."""
    target = Instance(storage_id=OTHER, key="copy.ts", state="copying")
    made = keep(gateway, state="registered", uses=1)
    _add_instance(gateway, made, target, clock)
    store = gateway.backends[OTHER].store
    write = store.write

    def write_and_sleep(*arguments: object) -> object:
        mine = write(*arguments)  # type: ignore[arg-type]
        theirs = write("copy.ts", "video/mp2t", [b"bytes"])
        stored = media_objects.load(gateway, ["one"])["one"]
        ready = replace(target, state="ready", version=theirs.version)
        instances = (stored.object.instances[0], ready)
        changed = replace(stored.object, instances=instances, due=None)
        gateway.metadata.apply([media_objects.put(changed, stored.version)])
        return mine

    monkeypatch.setattr(store, "write", write_and_sleep)
    _all(copies.settle, gateway, lease, log)

    kept = media_objects.load(gateway, ["one"])["one"].object.instances[1]
    assert b"".join(store.read(Place("copy.ts", kept.version))) == b"bytes"


def test_a_copy_leaves_nothing_of_one_that_was_cut_off(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log
) -> None:
    """A process died between the bytes and their note: they go, and the copy gets another key."""
    target = Instance(storage_id=OTHER, key="copy.ts", state="copying")
    made = keep(gateway, state="registered", uses=1)
    _add_instance(gateway, made, target, clock)
    store = gateway.backends[OTHER].store
    store.write("copy.ts", "video/mp2t", [b"bytes"])

    _all(copies.settle, gateway, lease, log)

    stored = media_objects.load(gateway, ["one"])["one"].object
    assert not _there(gateway, OTHER, "copy.ts")
    assert ["ready", "ready"] == [one.state for one in stored.instances]
    copied = Place(stored.instances[1].key, stored.instances[1].version)
    assert b"bytes" == b"".join(store.read(copied))
    assert stored.due is None


def test_a_copy_whose_key_was_given_up_meanwhile_goes_again(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process slept behind its last chunk; another found the bytes, and copied elsewhere."""
    target = Instance(storage_id=OTHER, key="copy.ts", state="copying")
    made = keep(gateway, state="registered", uses=1)
    _add_instance(gateway, made, target, clock)
    store = gateway.backends[OTHER].store
    write = store.write

    def write_and_sleep(*arguments: object) -> object:
        mine = write(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(store, "write", write)
        _all(copies.settle, gateway, lease, log)
        return mine

    monkeypatch.setattr(store, "write", write_and_sleep)
    _all(copies.settle, gateway, lease, log)

    stored = media_objects.load(gateway, ["one"])["one"].object
    assert not _there(gateway, OTHER, "copy.ts")
    assert ["ready", "ready"] == [one.state for one in stored.instances]
    assert _there(gateway, OTHER, stored.instances[1].key)


def _add_instance(gateway: Gateway, made: MediaObject, instance: Instance, clock: Clock) -> None:
    changed = replace(made, instances=(*made.instances, instance), due=clock.ns)
    version = media_objects.load(gateway, [made.id])[made.id].version
    gateway.metadata.apply([media_objects.put(changed, version)])


def test_a_copy_is_made_once_however_often_its_object_changes(
    gateway: Gateway, lease: Lease, clock: Clock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments that come and go change the object's record while its bytes are copied."""
    target = Instance(storage_id=OTHER, key="copy.ts", state="copying")
    made = keep(gateway, state="registered", uses=1)
    _add_instance(gateway, made, target, clock)
    store = gateway.backends[OTHER].store
    copies_made = []
    write = store.write

    def write_while_used(*arguments: object) -> object:
        stored = media_objects.load(gateway, ["one"])["one"]
        used = replace(stored.object, uses=stored.object.uses + 1)
        gateway.metadata.apply([media_objects.put(used, stored.version)])
        copies_made.append(arguments)
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "write", write_while_used)
    _all(copies.settle, gateway, lease, log)

    stored = media_objects.load(gateway, ["one"])["one"].object
    assert 1 == len(copies_made)
    assert 2 == stored.uses
    assert ["ready", "ready"] == [one.state for one in stored.instances]
