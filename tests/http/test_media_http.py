"""Media over HTTP, from the allocation on: every way to reach the gateway (R-STO, B6, B28, B32)."""

import hashlib
from base64 import b64encode
from unittest import mock
from urllib.parse import urlsplit

import pytest

from tams_gateway.storage.errors import FullError, StoreError
from tams_gateway.testing.client import Answer, Client
from tams_gateway.testing.ingest import Ingest, seconds
from tests.deployments import Deployment

pytestmark = pytest.mark.served_by_the_gateway("of bytes that come and go at /media")

DATA = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(DATA)
ETAG = f'"{SHA256.hexdigest()}"'
CHECKSUM = b64encode(SHA256.digest()).decode()


class Upload:
    """One allocated object of a flow, and its URLs."""

    def __init__(self, ingest: Ingest, **wishes: object) -> None:
        self.client = ingest.client
        self._ingest = ingest
        self.flow_id = ingest.flow()
        [self.allocated] = ingest.allocate(self.flow_id, **wishes)
        self.object_id: str = self.allocated["object_id"]
        self.put_url: str = self.allocated["put_url"]["url"]
        self.content_type: str = self.allocated["put_url"]["content-type"]

    def put(self, data: bytes = DATA, url: str = "", **headers: str) -> Answer:
        sent = {"Content-Type": self.content_type}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.put(url or self.put_url, body=data, headers=sent)

    def register(self) -> None:
        self._ingest.register(self.flow_id, self.object_id, seconds(0, 10))

    def get_urls(self) -> list[str]:
        [segment] = self._ingest.segments(self.flow_id)
        return [item["url"] for item in segment["get_urls"]]


@pytest.fixture
def ingest(client: Client) -> Ingest:
    return Ingest(client)


@pytest.fixture
def upload(ingest: Ingest) -> Upload:
    return Upload(ingest)


@pytest.fixture
def url(upload: Upload) -> str:
    """The presigned URL of registered media."""
    assert upload.put().status == 200
    upload.register()
    return upload.get_urls()[0]


def without_query(url: str) -> str:
    return url.partition("?")[0]


def test_what_was_uploaded_is_downloaded(upload: Upload) -> None:
    """B6: the content type alone suffices; B32: the answer is evidence of what arrived."""
    answer = upload.put()
    upload.register()

    assert answer.status == 200
    assert (ETAG, CHECKSUM) == (answer.headers["ETag"], answer.headers["x-amz-checksum-sha256"])
    for url in upload.get_urls():
        assert urlsplit(url).path.endswith(".ts")  # B27
        got = upload.client.get(url)
        assert got.status == 200
        assert got.body == DATA
        assert got.headers["Content-Type"] == upload.content_type
        assert got.headers["Content-Length"] == str(len(DATA))
        assert got.headers["Accept-Ranges"] == "bytes"
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert (ETAG, CHECKSUM) == (got.headers["ETag"], got.headers["x-amz-checksum-sha256"])


@pytest.mark.parametrize("sent", [{}, {"Range": "bytes=5-"}, {"Range": "bytes=9999999-"}])
def test_head_has_the_status_and_the_headers_of_get(
    client: Client, url: str, sent: dict[str, str]
) -> None:
    """R-GEN-01, B28."""
    got, head = client.get(url, headers=sent), client.head(url, headers=sent)

    assert got.status == head.status
    assert head.body == b""
    for name in ("Content-Type", "Content-Length", "ETag", "Accept-Ranges", "Content-Range"):
        assert got.headers.get(name) == head.headers.get(name)


@pytest.mark.parametrize(
    ("sent", "first", "last"),
    [("0-0", 0, 0), ("300000-", 300000, 511999), ("-7", 511993, 511999), ("1-262145", 1, 262145)],
)
def test_a_range_is_partial_content(
    client: Client, url: str, sent: str, first: int, last: int
) -> None:
    """B28: players seek."""
    answer = client.get(url, headers={"Range": f"bytes={sent}"})

    assert answer.status == 206
    assert DATA[first : last + 1] == answer.body
    assert f"bytes {first}-{last}/{len(DATA)}" == answer.headers["Content-Range"]
    assert str(last - first + 1) == answer.headers["Content-Length"]


def test_a_range_behind_the_end_is_refused_with_the_size(client: Client, url: str) -> None:
    answer = client.get(url, headers={"Range": "bytes=512000-"})

    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"
    assert answer.json["type"] == "range_not_satisfiable"


def test_a_version_that_the_client_has_is_not_sent_again(client: Client, url: str) -> None:
    answer = client.get(url, headers={"If-None-Match": ETAG})

    assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", ETAG)
    assert client.get(url, headers={"If-None-Match": '"other"'}).status == 200


def test_a_registered_object_is_immutable(upload: Upload) -> None:
    """R-STO-13: the URL is still valid, the bytes are closed."""
    upload.put()
    upload.register()
    answer = upload.put(b"other")

    assert answer.status == 409
    assert answer.json["type"] == "immutable"
    assert upload.client.get(upload.get_urls()[0]).body == DATA


def test_until_its_registration_an_upload_may_be_repeated(upload: Upload) -> None:
    for data in (b"first", b"", DATA):
        assert upload.put(data).status == 200
    upload.register()

    assert upload.client.get(upload.get_urls()[0]).body == DATA


def test_a_registered_object_without_upload_has_no_media(upload: Upload) -> None:
    """R-SEG-28: registration does not ask for the bytes."""
    upload.register()

    assert upload.client.get(upload.get_urls()[0]).status == 404


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-MD5", b64encode(hashlib.md5(b"other").digest()).decode()),
        ("Digest", f"sha-256={b64encode(hashlib.sha256(b'other').digest()).decode()}"),
        ("Content-Digest", f"sha-256=:{b64encode(hashlib.sha256(b'other').digest()).decode()}:"),
        ("Repr-Digest", f"sha-512=:{b64encode(hashlib.sha512(b'other').digest()).decode()}:"),
        ("x-amz-checksum-sha256", b64encode(hashlib.sha256(b"other").digest()).decode()),
    ],
)
def test_a_checksum_that_does_not_hold_is_named_and_nothing_is_stored(
    upload: Upload, name: str, value: str
) -> None:
    answer = upload.put(**{name: value})

    assert answer.status == 400
    assert name in answer.json["summary"]
    upload.register()
    assert upload.client.get(upload.get_urls()[0]).status == 404


def test_checksums_that_hold_are_fine(upload: Upload) -> None:
    md5 = b64encode(hashlib.md5(DATA).digest()).decode()

    assert upload.put(Content_MD5=md5, x_amz_checksum_sha256=CHECKSUM).status == 200


def test_another_content_type_is_refused(upload: Upload) -> None:
    answer = upload.put(Content_Type="text/html")

    assert answer.status == 400
    assert "Content-Type: expected video/mp2t, got text/html" in answer.json["summary"]


@pytest.mark.config(limits={"media_bytes": 1000})
def test_an_upload_above_the_limit_is_refused(upload: Upload) -> None:
    answer = upload.put(b"x" * 1001)

    assert answer.status == 413
    assert answer.json["type"] == "too_large"
    assert upload.put(b"x" * 1000).status == 200


def test_signatures_guard_what_they_sign(client: Client, upload: Upload, url: str) -> None:
    """A URL for reading writes nothing, one for another key or time opens nothing."""
    other = without_query(url).replace(upload.object_id, "0")
    query = urlsplit(url).query
    for method, changed in (
        ("PUT", url),
        ("GET", upload.put_url),
        ("GET", f"{url}x"),
        ("GET", f"{other}?{query}"),
        ("GET", url.replace("expires=1", "expires=2")),
    ):
        answer = client.request(method, changed, headers={"Content-Type": upload.content_type})
        assert answer.status == 403, (method, changed)
        assert "expired or not ours" in answer.json["summary"]


def test_an_unsigned_url_needs_what_the_api_needs(ingest: Ingest) -> None:
    """R-STO-09: `presigned: false`; in open mode that is nothing."""
    upload = Upload(ingest, presigned=False)

    assert upload.allocated["presigned"] is False
    assert "?" not in upload.put_url
    assert upload.put().status == 200
    upload.register()
    assert ingest.client.get(without_query(upload.get_urls()[0])).body == DATA


def test_other_backends_take_uploads_too(ingest: Ingest) -> None:
    second = ingest.storage_backends()[1]
    upload = Upload(ingest, storage_id=second["id"])

    assert "/media/second/" in upload.put_url
    assert upload.put().status == 200
    upload.register()
    assert ingest.client.get(upload.get_urls()[0]).body == DATA


def test_an_init_object_has_its_own_content_type(ingest: Ingest) -> None:
    """R-STO-07: what a browser would run comes as an attachment."""
    upload = Upload(ingest, content_type="application/xml")
    assert upload.put(b"<x/>").status == 200
    answer = ingest.client.get(without_query(upload.put_url))

    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Security-Policy"] == "sandbox"


@pytest.mark.parametrize(
    "object_id", ["../../etc/passwd", "a/b", "..", ".", "ä ö", "%2e%2e%2f", "x" * 1000, "a\\b?c#d"]
)
def test_a_hostile_object_id_has_media_like_any_other(ingest: Ingest, object_id: str) -> None:
    """R-GEN-06: ids are any text; the key that stands for one never leaves the root."""
    upload = Upload(ingest, object_ids=[object_id])

    assert upload.put().status == 200
    upload.register()
    assert ingest.client.get(upload.get_urls()[0]).body == DATA


@pytest.mark.parametrize(
    "path",
    [
        "/media/main/absent.ts",
        "/media/elsewhere/a.ts",
        "/media/main/../main/a.ts",
        "/media/main/%2e%2e/%2e%2e/etc/passwd",
        "/media/main/..%2f..%2fetc%2fpasswd",
    ],
)
def test_nothing_else_is_found(client: Client, path: str) -> None:
    assert client.get(path).status == 404
    assert client.put(path, body=b"x").status == 404


@pytest.mark.parametrize(("error", "status"), [(FullError("full"), 507), (StoreError("gone"), 503)])
def test_a_failing_disk_is_no_fault_of_the_client(
    deployment: Deployment, upload: Upload, error: StoreError, status: int
) -> None:
    store = deployment.gateway.default_backend.store
    with mock.patch.object(store, "write", side_effect=error):
        answer = upload.put()

    assert status == answer.status
    assert "Retry-After" in answer.headers
    assert upload.put().status == 200


def test_media_may_be_read_by_pages_of_other_origins(client: Client, url: str) -> None:
    """B4: this machine's pages, as for the API."""
    origin = {"Origin": "http://localhost:3000"}
    asked = {**origin, "Access-Control-Request-Method": "PUT"}

    assert client.get(url, headers=origin).headers["Access-Control-Allow-Origin"]
    assert client.options(url, headers=asked).status in (200, 204)
