"""What `tams-gateway check` finds out about a bucket, beyond that it is there."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import urllib3

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import StoreError
from tams_gateway.storage.objects import Place
from tams_gateway_s3.border import border, failed

if TYPE_CHECKING:
    from tams_gateway_s3.store import S3Objects

_TYPE: Final = "video/mp2t"
_BYTES: Final = b"tams-gateway check"
_ORIGIN: Final = "https://tams-gateway.invalid"
_SKEW: Final = 60.0
"""How far the clocks may differ, in seconds: servers refuse signatures of 15 minutes."""

CORS_REMEDY: Final = "tams-gateway s3 init makes a rule for web pages, if they are to play media"


def examine(store: "S3Objects") -> Sequence[Health]:
    """Try the access key, signed URLs, clock, CORS and versions, with an object that goes again.

    Does not raise: what fails ends the examination, and is the last of what was found.
    """
    prefix = store.settings.prefix.strip("/")
    place = Place(f"{prefix}/tams-gateway-check-{uuid4().hex}.ts".lstrip("/"))
    found: list[Health] = []
    try:
        for health in _findings(store, place):
            found.append(health)
    except StoreError as error:
        found.append(failed(error))
    return found


def _findings(store: "S3Objects", place: Place) -> Iterator[Health]:
    yield _permissions(store, place)
    try:
        yield from _clients(store, place)
    finally:
        store.delete([place])
    yield _versions(store)
    yield _credentials(store)


def _permissions(store: "S3Objects", place: Place) -> Health:
    store.write(place.key, _TYPE, [_BYTES])
    with closing(store.read(place)) as chunks:
        read = b"".join(chunks)
    with border(store.what):
        store.connection.client.list_objects_v2(
            Bucket=store.settings.bucket, Prefix=place.key, MaxKeys=1
        )
    kept = store.delete([place])
    if kept:
        return Health(False, f"it deletes nothing: {kept[place]}", "let the access key delete")
    if read != _BYTES:
        return Health(False, "it gives other bytes than it got", "is this an S3 server?")
    return Health(True, "writes, reads, lists and deletes")


def _clients(store: "S3Objects", place: Place) -> Iterator[Health]:
    """Do as clients do, at the address that they are given."""
    put = store.upload(place.key, _TYPE, presigned=True).url
    [get] = store.download([place], presigned=True)
    where = store.settings.public_endpoint or store.settings.server
    what = f"{where}, where clients upload and read"
    header = {"Content-Type": _TYPE, "Origin": _ORIGIN}
    with _pool(store) as pool, border(what):
        sent = pool.request("PUT", put, body=_BYTES, headers=header)
        got = pool.request("GET", get, headers={"Range": "bytes=5-11", "Origin": _ORIGIN})
        asked = pool.request(
            "OPTIONS",
            put,
            headers={
                "Origin": _ORIGIN,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": "content-type",
            },
        )
    if (sent.status, got.data) != (200, _BYTES[5:12]):
        yield Health(
            False,
            f"{what}: a signed PUT is answered with {sent.status}, a GET with {got.status}",
            "check public_endpoint, region and addressing, and that proxies keep the Host header",
        )
    elif got.status != 206:
        detail = f"{what}: a range is answered with {got.status}, not with 206"
        yield Health(False, detail, "take a server that players can seek in")
    else:
        yield Health(True, f"{where}: signed URLs work")
    yield _clock(got.headers.get("Date"), store.now())
    yield _cors(asked, got)


def _pool(store: "S3Objects") -> urllib3.PoolManager:
    return urllib3.PoolManager(
        ca_certs=store.settings.ca_bundle,
        timeout=store.settings.timeout,
        retries=urllib3.Retry(0, redirect=0, raise_on_redirect=False),
    )


def _clock(date: str | None, now: float) -> Health:
    """Compare our clock with that of the server, which says its own in whole seconds."""
    if date is None:
        return Health(True, "clock: the server does not tell the time")
    skew = now - parsedate_to_datetime(date).timestamp()
    if abs(skew) > _SKEW:
        remedy = "set both clocks by NTP: from 15 minutes on no signature is accepted"
        return Health(False, f"clock: {skew:+.0f} seconds off that of the server", remedy)
    return Health(True, "clock: that of the server")


def _cors(asked: urllib3.BaseHTTPResponse, got: urllib3.BaseHTTPResponse) -> Health:
    allowed = {one.headers.get("Access-Control-Allow-Origin") for one in (asked, got)}
    if asked.status not in (200, 204) or not allowed <= {"*", _ORIGIN}:
        return Health(True, "CORS: pages of any origin may not upload and read", CORS_REMEDY)
    exposed = got.headers.get("Access-Control-Expose-Headers", "").lower()
    if "content-range" not in exposed and exposed != "*":
        return Health(True, "CORS: pages may read, but not the header Content-Range", CORS_REMEDY)
    return Health(True, "CORS: pages of any origin may upload and read")


def _versions(store: "S3Objects") -> Health:
    """Say what keeps clients from overwriting what is registered (R-STO-13)."""
    if store.keeps_versions():
        return Health(True, "versions: kept, and the one that was registered is served")
    lifetime = store.put_lifetime
    return Health(
        True,
        f"versions: none; a client may overwrite its object while its PUT URL holds, {lifetime} s",
        "turn the versioning of the bucket on, or lower limits.min_presigned_url_timeout",
    )


def _credentials(store: "S3Objects") -> Health:
    if store.connection.short_lived():
        return Health(
            False,
            "credentials: they expire before the URLs that are signed with them",
            "let their sessions hold longer, or lower limits.min_presigned_url_timeout",
        )
    return Health(True, "credentials: hold as long as the URLs")
