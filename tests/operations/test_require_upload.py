"""`require_upload`: a segment is refused while the bytes of its object are not there."""

from collections.abc import Iterable

import msgspec
import pytest
from tams_gateway_memory.metadata import MemoryMetadata

from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations import uploads
from tams_gateway.operations.gateway import Limits
from tams_gateway.storage.errors import MissingError
from tams_gateway.storage.objects import Place, Stat
from tams_gateway.testing.client import Client
from tams_gateway.testing.ingest import Ingest, seconds
from tams_gateway.testing.samples import segment
from tests.in_memory import MAIN, Clock, gateway_in_memory

pytestmark = pytest.mark.config(limits={"require_upload": True})


def _upload(client: Client, made: dict[str, dict[str, str]], content_type: str) -> None:
    headers = {"content-type": content_type}
    assert client.put(made["put_url"]["url"], body=b"bytes", headers=headers).status == 200


def test_a_segment_without_bytes_is_refused_until_they_are_there(
    client: Client, ingest: Ingest
) -> None:
    flow_id = ingest.flow()
    (made,) = ingest.allocate(flow_id)
    wanted = {"object_id": made["object_id"], "timerange": seconds(0, 1)}
    refused = client.post(f"/flows/{flow_id}/segments", json=wanted)
    assert refused.status == 400
    assert refused.json["summary"].startswith("/object_id: ")
    assert made["object_id"] in refused.json["summary"]
    assert "not uploaded" in refused.json["summary"]

    _upload(client, made, "video/mp2t")

    assert client.post(f"/flows/{flow_id}/segments", json=wanted).status == 201


def test_of_a_list_just_those_without_bytes_are_refused(client: Client, ingest: Ingest) -> None:
    flow_id = ingest.flow()
    made = ingest.allocate(flow_id, limit=3)
    _upload(client, made[0], "video/mp2t")
    _upload(client, made[2], "video/mp2t")
    wanted = [
        {"object_id": one["object_id"], "timerange": seconds(at, at + 1)}
        for at, one in enumerate(made)
    ]
    answer = client.post(f"/flows/{flow_id}/segments", json=[*wanted, segment(seconds(5, 6))])
    assert answer.status == 200
    (failed,) = answer.json["failed_segments"]
    assert made[1]["object_id"] == failed["object_id"]
    assert failed["error"]["summary"].startswith("/1/object_id: ")
    assert 3 == len(ingest.segments(flow_id))


def test_an_init_object_needs_its_bytes_as_well(client: Client, ingest: Ingest) -> None:
    flow_id = ingest.init_flow()
    media, init = ingest.allocate(flow_id, limit=2)
    _upload(client, media, "video/iso.segment")
    wanted = {
        "object_id": media["object_id"],
        "init_object_id": init["object_id"],
        "timerange": seconds(0, 1),
    }
    refused = client.post(f"/flows/{flow_id}/segments", json=wanted)
    assert refused.status == 400
    assert refused.json["summary"].startswith("/init_object_id: ")
    _upload(client, init, "video/iso.segment")
    assert client.post(f"/flows/{flow_id}/segments", json=wanted).status == 201


@pytest.mark.config(limits={"require_upload": False})
def test_without_it_the_bytes_may_come_never(client: Client, ingest: Ingest) -> None:
    flow_id = ingest.flow()
    ingest.register(flow_id, ingest.allocated(flow_id), seconds(0, 1))


class Elsewhere:
    """A store that clients reach without the gateway: it has to be asked."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = set(keys)

    def stat(self, place: Place) -> Stat:
        if place.key not in self._keys:
            raise MissingError(place.key)
        return Stat(5)


class Versions(Elsewhere):
    """One that keeps every upload."""

    def keeps_versions(self) -> bool:
        return True

    def stat(self, place: Place) -> Stat:
        return Stat(super().stat(place).size, f"version of {place.key}")


@pytest.mark.parametrize("required", [False, True])
def test_of_a_backend_that_keeps_versions_the_one_that_is_there_is_recorded(required: bool) -> None:
    """R-STO-13: of allocated objects alone; a registered one keeps what it has."""
    gateway = gateway_in_memory(MemoryMetadata(), Clock(), Limits(require_upload=required))
    msgspec.structs.force_setattr(gateway.backends[MAIN], "store", Versions(["a", "c"]))
    given = {
        name: MediaObject(
            name,
            "video/mp2t",
            "f",
            state="registered" if name == "c" else "allocated",
            instances=(Instance(storage_id=MAIN, key=name),),
        )
        for name in "abc"
    }

    looked, absent = uploads.look(gateway, given)

    assert looked["a"].instances[0].version == "version of a"
    assert looked["a"].size == 5
    assert (looked["b"], looked["c"]) == (given["b"], given["c"])
    assert absent == ({"b"} if required else set())


def test_a_backend_that_clients_write_to_themselves_is_asked_and_tells_sizes() -> None:
    gateway = gateway_in_memory(MemoryMetadata(), Clock(), Limits(require_upload=True))
    msgspec.structs.force_setattr(gateway.backends[MAIN], "store", Elsewhere(["a", "c"]))
    objects = [
        MediaObject(name, "video/mp2t", "f", instances=(Instance(storage_id=MAIN, key=name),))
        for name in "abc"
    ]
    registered = MediaObject("d", "video/mp2t", "f", state="registered")
    given = {one.id: one for one in [*objects, registered]}

    looked, absent = uploads.look(gateway, given)

    assert {"b"} == absent
    assert {"a": 5, "b": None, "c": 5, "d": None} == {id_: one.size for id_, one in looked.items()}
    assert all(looked[id_].instances == one.instances for id_, one in given.items())
