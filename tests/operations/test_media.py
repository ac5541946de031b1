"""Uploads and downloads through the gateway: what only happens between two steps of one request.

Over HTTP they are tested by tests/http/test_media_http.py.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from tams_gateway_filesystem.store import FilesystemObjects
from tams_gateway_memory.metadata import MemoryMetadata
from tams_gateway_memory.objects import MemoryObjects

from tams_gateway.domain.errors import Forbidden, Immutable, Invalid, NotFound, TooLarge
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations import media, media_objects
from tams_gateway.operations.gateway import Backend, Gateway, Limits, Service
from tams_gateway.operations.messages import Request, Response
from tams_gateway.storage.errors import ConflictError, FullError, MissingError, StoreError
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Place
from tams_gateway.testing.samples import KEYS

STORAGE_ID = "5a0c1f1e-0000-4000-8000-000000000001"
KEY = "2026/11/25/clip.ts"
TYPE = "video/mp2t"
DATA = bytes(range(256)) * 40


@pytest.fixture(params=["memory", "filesystem"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryObjects | FilesystemObjects:
    urls = MediaUrls("main", KEYS, 3600, time.time)
    if request.param == "memory":
        return MemoryObjects(urls)
    return FilesystemObjects(tmp_path / "objects", urls, durable=False, now=time.time)


@pytest.fixture
def gateway(store: MemoryObjects | FilesystemObjects) -> Gateway:
    backend = Backend(STORAGE_ID, "main", "Main", True, {}, store, {}, {})
    made = Gateway(
        metadata=MemoryMetadata(),
        backends={STORAGE_ID: backend},
        limits=Limits(media_bytes=len(DATA)),
        service=Service(),
        now_ns=time.time_ns,
    )
    allocated = MediaObject(
        "clip", TYPE, "flow", instances=(Instance(storage_id=STORAGE_ID, key=KEY),), expires=1
    )
    made.metadata.apply([media_objects.put(allocated)])
    return made


def stored(gateway: Gateway) -> media_objects.Stored:
    return media_objects.load(gateway, ["clip"])["clip"]


def change(gateway: Gateway, **members: object) -> None:
    one = stored(gateway)
    gateway.metadata.apply([media_objects.put(replace(one.object, **members), one.version)])


def put(
    gateway: Gateway,
    chunks: Iterator[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    query: str = "",
    length: int | None = None,
) -> Response:
    request = Request(
        method="PUT",
        path={"store": "main", "key": KEY},
        query=query,
        headers={"content-type": TYPE} if headers is None else headers,
        length=length,
        stream=iter([DATA]) if chunks is None else chunks,
    )
    return media.put_media(gateway, request)


def get(gateway: Gateway, method: str = "GET", **headers: str) -> Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(method=method, path={"store": "main", "key": KEY}, headers=sent)
    return media.get_media(gateway, request)


def body(response: Response) -> bytes:
    assert response.stream is not None
    return b"".join(response.stream)


def kept(gateway: Gateway) -> list[str]:
    """Return the versions that the store has at the key, found by trying those that were made."""
    store = gateway.default_backend.store
    if isinstance(store, MemoryObjects):
        return sorted(store._objects.get(KEY, {}))
    assert isinstance(store, FilesystemObjects)
    return sorted(path.name[:32] for path in store._root.rglob("*") if path.is_file())


def test_size_checksum_and_version_of_an_upload_are_recorded(gateway: Gateway) -> None:
    response = put(gateway, iter([DATA[:100], DATA[100:]]))

    sha256 = hashlib.sha256(DATA).hexdigest()
    uploaded = stored(gateway).object
    assert response.headers["ETag"] == f'"{sha256}"'
    assert (len(DATA), sha256) == (uploaded.size, uploaded.sha256)
    assert [uploaded.instances[0].version] == kept(gateway)
    assert body(get(gateway)) == DATA


def test_the_last_complete_upload_wins_and_the_earlier_bytes_go(gateway: Gateway) -> None:
    put(gateway, iter([b"first"]))
    put(gateway, iter([b"second"]))

    assert body(get(gateway)) == b"second"
    assert len(kept(gateway)) == 1


def test_of_two_uploads_at_once_the_one_that_ends_last_wins(gateway: Gateway) -> None:
    def slow() -> Iterator[bytes]:
        yield b"slow"
        put(gateway, iter([b"quick"]))
        assert body(get(gateway)) == b"quick"

    put(gateway, slow())

    assert body(get(gateway)) == b"slow"
    assert stored(gateway).object.size == 4
    assert len(kept(gateway)) == 1


def test_a_registered_object_is_never_overwritten(gateway: Gateway) -> None:
    """R-STO-13, with not a byte of the new body taken."""
    put(gateway)
    change(gateway, state="registered")
    untouched = iter([b"other"])
    with pytest.raises(Immutable):
        put(gateway, untouched)

    assert list(untouched) == [b"other"]
    assert body(get(gateway)) == DATA


def test_an_upload_that_is_overtaken_by_the_registration_is_refused(gateway: Gateway) -> None:
    """R-STO-13: also one that began before; nothing of it stays."""
    put(gateway, iter([b"registered"]))

    def late() -> Iterator[bytes]:
        yield b"late"
        change(gateway, state="registered")

    with pytest.raises(Immutable):
        put(gateway, late())
    assert body(get(gateway)) == b"registered"
    assert [stored(gateway).object.instances[0].version] == kept(gateway)


@pytest.mark.parametrize("state", ["collected", None])
def test_an_upload_whose_object_is_collected_meanwhile_is_refused(
    gateway: Gateway, state: str | None
) -> None:
    def late() -> Iterator[bytes]:
        yield b"late"
        if state is None:
            gateway.metadata.apply([media_objects.delete(stored(gateway))])
        else:
            change(gateway, state=state)

    with pytest.raises(NotFound):
        put(gateway, late())
    assert kept(gateway) == []
    for call in (put, get):
        with pytest.raises(NotFound):
            call(gateway)


def test_an_upload_without_end_to_conflicts_gives_up_and_leaves_nothing(gateway: Gateway) -> None:
    """The pipeline cannot run it again: its body is gone. It answers 503."""
    with (
        mock.patch.object(gateway.metadata, "apply", side_effect=ConflictError("faster")),
        mock.patch.object(media, "_LONGEST_PAUSE", 0),
        pytest.raises(ConflictError),
    ):
        put(gateway)

    assert kept(gateway) == []


def test_bytes_stay_where_nobody_knows_whether_they_are_recorded(gateway: Gateway) -> None:
    """A store that fails may have committed: only the collection of the object removes them."""
    with (
        mock.patch.object(gateway.metadata, "apply", side_effect=StoreError("away")),
        pytest.raises(StoreError),
    ):
        put(gateway)

    assert len(kept(gateway)) == 1
    gateway.default_backend.store.delete([Place(KEY)])
    assert kept(gateway) == []


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), FullError("full")])
def test_an_upload_that_breaks_off_leaves_nothing(gateway: Gateway, error: Exception) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise error

    with pytest.raises(type(error)) as raised:
        put(gateway, broken())

    assert error is raised.value
    assert kept(gateway) == []
    assert stored(gateway).object.size is None
    with pytest.raises(NotFound):
        get(gateway)


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"content-type": TYPE, "content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, Invalid),
        ({"content-type": TYPE, "content-md5": "?"}, Invalid),
        ({"content-type": "video/mp4"}, Invalid),
        ({"content-type": ""}, Invalid),
        ({}, Invalid),
    ],
)
def test_a_refused_upload_leaves_nothing(
    gateway: Gateway, headers: Mapping[str, str], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        put(gateway, headers=headers)

    assert kept(gateway) == []
    assert stored(gateway).object.size is None


@pytest.mark.parametrize(("length", "refusal"), [(9, Invalid), (len(DATA) + 1, TooLarge)])
def test_an_upload_of_another_length_than_announced_leaves_nothing(
    gateway: Gateway, length: int, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        put(gateway, length=length)

    assert kept(gateway) == []
    assert stored(gateway).object.size is None


def test_an_upload_above_the_limit_leaves_nothing(gateway: Gateway) -> None:
    with pytest.raises(TooLarge):
        put(gateway, iter([DATA, b"!"]))

    assert kept(gateway) == []


def test_a_signature_vouches_for_the_content_type_where_the_client_names_none(
    gateway: Gateway,
) -> None:
    """`curl -T` sends none (B6); another one is refused all the same."""
    query = "signature=checked-by-signed"
    with pytest.raises(Invalid, match="Content-Type: expected video/mp2t, got text/html"):
        put(gateway, headers={"content-type": "text/html"}, query=query)

    assert put(gateway, headers={}, query=query).status == 200
    assert put(gateway, headers={"content-type": "Video/MP2T; x=y"}).status == 200


@pytest.mark.parametrize("state", ["copying", "withdrawn"])
def test_an_instance_that_is_not_ready_is_not_served(gateway: Gateway, state: str) -> None:
    """R-INS-01, R-INS-07."""
    put(gateway)
    [instance] = stored(gateway).object.instances
    change(gateway, instances=(replace(instance, state=state),))
    for call in (put, get):
        with pytest.raises(NotFound):
            call(gateway)


def test_lost_bytes_are_not_found(gateway: Gateway) -> None:
    put(gateway)
    gateway.default_backend.store.delete([Place(KEY)])
    with pytest.raises(NotFound):
        get(gateway)


def test_a_copy_from_elsewhere_is_served_by_what_its_store_knows(gateway: Gateway) -> None:
    """The size of bytes that did not come through the gateway is asked for, the ETag is theirs."""
    stat = gateway.default_backend.store.write(KEY, TYPE, [DATA])
    [instance] = stored(gateway).object.instances
    change(gateway, state="registered", instances=(replace(instance, version=stat.version),))
    response = get(gateway, range="bytes=-3")

    assert response.status == 206
    assert body(response) == DATA[-3:]
    assert response.headers["ETag"] == f'"{stat.version}"'
    assert "x-amz-checksum-sha256" not in response.headers


def test_head_opens_no_file(gateway: Gateway) -> None:
    put(gateway)
    whole = get(gateway)
    with (
        mock.patch.object(gateway.default_backend.store, "read", side_effect=MissingError),
        mock.patch.object(gateway.default_backend.store, "stat", side_effect=MissingError),
    ):
        head = get(gateway, "HEAD")

    assert (whole.status, whole.content_type) == (head.status, head.content_type)
    assert whole.headers == head.headers
    assert body(head) == b""
    assert body(whole) == DATA


@pytest.mark.parametrize(
    ("content_type", "served", "shown"),
    [
        ("video/mp2t", "video/mp2t", True),
        ("audio/wav", "audio/wav", True),
        ("image/png", "image/png", True),
        ("text/vtt", "text/vtt", True),
        ("Text/Plain;charset=utf-8", "Text/Plain;charset=utf-8", True),
        ("image/svg+xml", "image/svg+xml", False),
        ("IMAGE/SVG+XML", "IMAGE/SVG+XML", False),
        ("text/html", "text/html", False),
        ("text/xml", "text/xml", False),
        ("text/javascript", "text/javascript", False),
        ("application/xhtml+xml", "application/xhtml+xml", False),
        ("application/pdf", "application/pdf", False),
        ("application/mp4", "application/mp4", False),
        ("vidéo/mp2t", "application/octet-stream", False),
        ("video/mp2té", "application/octet-stream", False),
    ],
)
def test_what_a_browser_would_run_is_for_saving_only(
    gateway: Gateway, content_type: str, served: str, shown: bool
) -> None:
    put(gateway)
    change(gateway, content_type=content_type)
    response = get(gateway)

    assert served == response.content_type
    assert shown is ("Content-Disposition" not in response.headers)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "sandbox"
    close(response)


def close(response: Response) -> None:
    response.stream.close()  # type: ignore[union-attr]


def test_only_settled_bytes_are_cached_for_long(gateway: Gateway) -> None:
    put(gateway)
    before = get(gateway, "HEAD").headers["Cache-Control"]
    change(gateway, state="registered")

    assert before == "private, no-cache"
    assert get(gateway, "HEAD").headers["Cache-Control"] == "private, max-age=3600, immutable"


def signing(gateway: Gateway, change: Callable[[str, str], tuple[str, str]]) -> bool:
    """Ask about the signed upload URL of the key, its method and query changed."""
    store = gateway.default_backend.store
    query = urlsplit(store.upload(KEY, TYPE, presigned=True).url).query
    method, query = change("PUT", query)
    request = Request(method=method, path={"store": "main", "key": KEY}, query=query)
    return media.signed(gateway, request)


def test_a_signature_of_ours_opens_the_route(gateway: Gateway) -> None:
    assert signing(gateway, lambda method, query: (method, query))
    assert not signing(gateway, lambda method, _: (method, "expires=1"))


@pytest.mark.parametrize(
    "change",
    [
        lambda method, query: ("GET", query),
        lambda method, query: (method, query.replace("mp2t", "mp4")),
        lambda method, query: (method, query.replace("expires=1", "expires=2")),
        lambda method, query: (method, query.replace("expires=", "expires=-")),
        lambda method, query: (method, query[:-1]),
        lambda method, query: (method, "signature="),
        lambda method, query: (method, "signature=%C3%A9&expires=9999999999"),
    ],
)
def test_a_signature_that_is_not_ours_is_refused(
    gateway: Gateway, change: Callable[[str, str], tuple[str, str]]
) -> None:
    with pytest.raises(Forbidden, match="expired or not ours"):
        signing(gateway, change)


def test_a_signature_expires(gateway: Gateway) -> None:
    urls = MediaUrls("main", KEYS, 3600, lambda: time.time() - 3601)
    query = urlsplit(urls.download([KEY], presigned=True)[0]).query
    request = Request(method="GET", path={"store": "main", "key": KEY}, query=query)
    with pytest.raises(Forbidden, match="expired or not ours"):
        media.signed(gateway, request)


@pytest.mark.parametrize("name", ["elsewhere", "Main", STORAGE_ID])
def test_other_stores_have_no_media_routes(gateway: Gateway, name: str) -> None:
    request = Request(method="GET", path={"store": name, "key": KEY}, query="signature=x")
    for call in (media.signed, media.get_media, media.put_media):
        with pytest.raises(NotFound):
            call(gateway, request)


@pytest.mark.parametrize("key", ["", "..", "../clip.ts", f"{KEY}/", "a\0b", "ä", "/etc/passwd"])
def test_a_key_that_nobody_allocated_is_not_found(gateway: Gateway, key: str) -> None:
    for method, call in (("GET", media.get_media), ("PUT", media.put_media)):
        request = Request(method=method, path={"store": "main", "key": key})
        with pytest.raises(NotFound):
            call(gateway, request)
