"""Who gets at media with an auth provider: a signature suffices, else credentials and a scope."""

import time
from urllib.parse import urlsplit

import pytest
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_memory.objects import MemoryObjects

from tams_gateway.auth.chain import Chain
from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import Credentials
from tams_gateway.domain.health import Health
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.http.network import Arrival
from tams_gateway.http.pipeline import Pipeline, Reception
from tams_gateway.http.routes import ROUTES
from tams_gateway.operations import media_objects
from tams_gateway.operations.gateway import Backend, Gateway, Limits, Service
from tams_gateway.operations.messages import Request, Response
from tams_gateway.settings import ServiceSettings
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.testing.samples import KEYS

KEY = "clip.ts"
NAMES = {"reader": {Scope.READ}, "writer": {Scope.WRITE}, "admin": {Scope.ADMIN}}
MEDIA = {route.method: route for route in ROUTES if route.template.startswith("/media/")}


class Names:
    """Takes the name of a principal as its credentials."""

    challenge = "Name"

    def authenticate(self, credentials: Credentials) -> Principal | None:
        name = credentials.authorization
        return None if name is None else Principal(name, frozenset(NAMES[name]))

    def check(self) -> Health:
        return Health(True, "names")

    def close(self) -> None:
        pass


@pytest.fixture
def store() -> MemoryObjects:
    return MemoryObjects(MediaUrls("main", KEYS, 3600, time.time))


@pytest.fixture
def pipeline(store: MemoryObjects) -> Pipeline:
    gateway = Gateway(
        metadata=MemoryMetadata(),
        backends={"id": Backend("id", "main", "main", True, {}, store, {}, {})},
        limits=Limits(),
        service=Service(),
        now_ns=time.time_ns,
    )
    instance = Instance(storage_id="id", key=KEY)
    allocated = MediaObject("clip", "video/mp2t", "flow", instances=(instance,))
    gateway.metadata.apply([media_objects.put(allocated)])
    return Pipeline(gateway, Chain([Names()]), ServiceSettings())


def send(pipeline: Pipeline, method: str, query: str = "", name: str | None = None) -> Response:
    request = Request(
        method=method,
        path={"store": "main", "key": KEY},
        query=query,
        headers={"content-type": "video/mp2t"} | ({"authorization": name} if name else {}),
        stream=iter([b"data"]),
    )
    route = MEDIA["GET" if method == "HEAD" else method]
    arrival = Arrival("http://localhost", "localhost", "127.0.0.1", local=True)
    return pipeline(route, Reception(request, arrival))


def test_a_signature_needs_no_credentials(pipeline: Pipeline, store: MemoryObjects) -> None:
    """B6, B8; also not where wrong ones are sent along."""
    put = urlsplit(store.upload(KEY, "video/mp2t", presigned=True).url).query
    get = urlsplit(store.media_urls.download([KEY], presigned=True)[0]).query

    assert send(pipeline, "PUT", put).status == 200
    assert send(pipeline, "GET", get).status == 200
    assert send(pipeline, "HEAD", get).status == 200
    assert send(pipeline, "PUT", put, name="reader").status == 200


def test_without_a_signature_credentials_and_a_scope_are_needed(pipeline: Pipeline) -> None:
    """R-AUTH-02, R-AUTH-05."""
    expected = {
        ("PUT", None): 401,
        ("PUT", "reader"): 403,
        ("PUT", "admin"): 200,
        ("PUT", "writer"): 200,
        ("GET", None): 401,
        ("HEAD", None): 401,
        ("GET", "writer"): 403,
        ("GET", "reader"): 200,
        ("HEAD", "reader"): 200,
    }
    assert expected == {
        (method, name): send(pipeline, method, name=name).status for method, name in expected
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_credentials_do_not_heal_a_bad_signature(pipeline: Pipeline, method: str) -> None:
    """403: the client was given a URL that no longer holds, and asks for a new one."""
    for name in (None, "reader", "writer"):
        assert send(pipeline, method, "expires=1&signature=x", name).status == 403
