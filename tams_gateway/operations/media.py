"""Bytes of the object stores that live in the gateway: `/media/{store}/{key}` (R-STO-13, B28).

A URL with a signature of ours is open to anybody; without one it needs credentials.
"""

import random
import re
import time
from base64 import b64encode
from typing import Final

import msgspec
from msgspec.structs import replace

from tams_gateway.auth.access import Permission, denied
from tams_gateway.domain.errors import Forbidden, Immutable, Invalid, NotFound, Refusal
from tams_gateway.domain.media_object import Instance, MediaObject
from tams_gateway.operations import media_objects, media_ranges, references
from tams_gateway.operations.gateway import Backend, Gateway
from tams_gateway.operations.kinds import HOLD, LEASE
from tams_gateway.operations.media_checksums import verified
from tams_gateway.operations.media_objects import Stored
from tams_gateway.operations.messages import Request, Response
from tams_gateway.operations.params import Params
from tams_gateway.operations.visibility import knows, may_use
from tams_gateway.storage.capabilities import SupportsMediaRoutes
from tams_gateway.storage.errors import ConflictError, FullError, MissingError
from tams_gateway.storage.media_urls import MediaUrls
from tams_gateway.storage.objects import Chunks, Place, Stat

_TRIES: Final = 100
"""How often a record is swapped anew when other uploads of the object are faster."""

_LONGEST_PAUSE: Final = 0.02
"""Seconds between two tries."""

_is_mime = re.compile(r"[!-~]+/[!-~]+").fullmatch
_is_shown = re.compile(r"audio/.*|video/.*|image/(?!svg).*|text/(plain|vtt)").fullmatch
"""The types that a browser shows without running anything; all others are for saving only."""


class _Target(msgspec.Struct, frozen=True):
    """A key of a backend whose bytes the gateway serves."""

    backend: Backend
    urls: MediaUrls
    key: str

    def instance_of(self, media_object: MediaObject) -> Instance | None:
        """Return the object's instance that lies here, if clients may have it."""
        for one in media_object.instances:
            if one.storage_id == self.backend.id and one.key == self.key and one.state == "ready":
                return one
        return None

    def nothing(self) -> NotFound:
        """Return the refusal for a key without an object."""
        return NotFound(f"no media at {self.key!r} in {self.backend.label}")


def signed(gateway: Gateway, request: Request) -> bool:
    """Whether the request has a signature of ours; raises `Forbidden` for one forged or expired."""
    params = Params(request.query)
    signature = params.text("signature")
    if signature is None:
        return False
    target = _target(gateway, request)
    expires, content_type = params.text("expires") or "", params.text("content-type") or ""
    if not target.urls.holds(request.method, target.key, expires, content_type, signature):
        raise Forbidden("query parameter signature: expired or not ours; ask for the URL again")
    return True


def get_media(gateway: Gateway, request: Request) -> Response:
    """Return the bytes at a key, or one range of them; for HEAD no file is opened (B28, B32)."""
    target = _target(gateway, request)
    media_object = _permitted(gateway, request, target, Permission.READ).object
    instance = target.instance_of(media_object)
    if instance is None or instance.version is None:
        raise target.nothing()
    place = Place(target.key, instance.version)
    headers = _headers(media_object, instance.version)
    if media_ranges.is_known(request.headers, headers["ETag"]):
        return Response(status=304, headers=headers)
    try:
        size = media_object.size
        if size is None:
            size = target.backend.store.stat(place).size
        part = media_ranges.wanted(request.headers, headers["ETag"], size)
        headers["Content-Length"] = str(size)
        if part is not None:
            headers["Content-Length"] = str(part.size)
            headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
        stream = () if request.method == "HEAD" else _read(target, place, part)
    except MissingError as error:
        raise target.nothing() from error
    return Response(
        status=200 if part is None else 206,
        content_type=_served_type(media_object),
        headers=headers,
        stream=stream,
    )


def put_media(gateway: Gateway, request: Request) -> Response:
    """Store the bytes of an allocated object, all or nothing; the last complete upload wins.

    Raises `Immutable` once the object is registered, also when that happens during the upload
    (R-STO-13), `NotFound` where nothing is allocated, `TooLarge`, and `Invalid` for another
    content type or a checksum that does not hold.
    """
    target = _target(gateway, request)
    _permitted(gateway, request, target, Permission.WRITE)
    stored = _allocated(gateway, target)
    _check_content_type(request, stored.object)
    limit = gateway.limits.media_bytes
    chunks = verified(request.stream or (), request.headers, request.length, limit)
    store = target.backend.store
    stat = store.write(target.key, stored.object.content_type, chunks)
    try:
        replaced = _record(gateway, target, stat)
    except (Refusal, ConflictError, FullError):
        store.delete([Place(target.key, stat.version)])
        raise
    if replaced is not None and not _held(gateway):
        store.delete([Place(target.key, replaced)])
    return Response(headers=_evidence(stat.sha256, stat.version))


def _held(gateway: Gateway) -> bool:
    """Whether a backup may need the bytes of a former upload; they then go with the object."""
    hold = gateway.metadata.get(LEASE, [HOLD]).get(HOLD)
    until = 0 if hold is None else hold.fields["until"]
    return isinstance(until, int) and gateway.now_ns() <= until


def _target(gateway: Gateway, request: Request) -> _Target:
    name, key = request.path["store"], request.path["key"]
    for backend in gateway.backends.values():
        if (
            backend.name == name
            and isinstance(backend.store, SupportsMediaRoutes)
            and knows(request.access, backend)
        ):
            return _Target(backend, backend.store.media_urls, key)
    raise NotFound(f"no media in {name!r}")


def _found(gateway: Gateway, target: _Target) -> Stored:
    stored = media_objects.at_place(gateway, f"{target.backend.id}/{target.key}")
    if stored is None or stored.object.state == "collected":
        raise target.nothing()
    return stored


def _permitted(
    gateway: Gateway, request: Request, target: _Target, permission: Permission
) -> Stored:
    """Return the object at a key that the principal may use; a signature lets everybody do it.

    Raises `NotFound` where it knows nothing of the object, else `Forbidden`.
    """
    stored = _found(gateway, target)
    access = request.access
    if not access.everything:
        references.require(gateway, access, permission, stored.object, target.nothing())
        if not may_use(access, permission, target.backend):
            raise denied(permission, f"in storage backend {target.backend.label}")
    return stored


def _allocated(gateway: Gateway, target: _Target) -> Stored:
    stored = _found(gateway, target)
    if stored.object.state != "allocated":
        raise Immutable(f"object {stored.object.id!r} is registered, so its bytes never change")
    return stored


def _check_content_type(request: Request, media_object: MediaObject) -> None:
    """Compare type and subtype; without the header, a signature vouches for them (B6)."""
    sent = request.headers.get("content-type", "")
    if not sent and Params(request.query).text("signature") is not None:
        return
    if _essence(sent) != _essence(media_object.content_type):
        raise Invalid(
            f"header Content-Type: expected {media_object.content_type}, got {sent or 'none'}"
        )


def _essence(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _record(gateway: Gateway, target: _Target, stat: Stat) -> str | None:
    """Let the object's record name the upload; return the version that it named before."""
    for _ in range(_TRIES):
        stored = _allocated(gateway, target)
        instance = target.instance_of(stored.object)
        if instance is None:
            raise target.nothing()
        uploaded = replace(instance, version=stat.version)
        changed = replace(
            stored.object,
            size=stat.size,
            sha256=stat.sha256,
            instances=tuple(
                uploaded if one is instance else one for one in stored.object.instances
            ),
        )
        try:
            gateway.metadata.apply([media_objects.put(changed, stored.version)])
        except ConflictError:
            time.sleep(random.uniform(0, _LONGEST_PAUSE))
        else:
            return instance.version
    raise ConflictError(f"too many uploads of object {stored.object.id!r} at once")


def _read(target: _Target, place: Place, part: media_ranges.Slice | None) -> Chunks:
    store = target.backend.store
    return store.read(place) if part is None else store.read(place, part.first, part.last)


def _headers(media_object: MediaObject, version: str) -> dict[str, str]:
    """Return what the answers to GET and HEAD carry, whole or in part."""
    settled = media_object.state == "registered"
    headers = {
        **_evidence(media_object.sha256, version),
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, {'max-age=3600, immutable' if settled else 'no-cache'}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    if _is_shown(_essence(_served_type(media_object))) is None:
        headers["Content-Disposition"] = "attachment"
    return headers


def _evidence(sha256: str | None, version: str | None) -> dict[str, str]:
    """Return the headers by which a client sees what arrived (B32)."""
    if sha256 is None:
        return {"ETag": f'"{version}"'}
    checksum = b64encode(bytes.fromhex(sha256)).decode()
    return {"ETag": f'"{sha256}"', "x-amz-checksum-sha256": checksum}


def _served_type(media_object: MediaObject) -> str:
    """Return the type as uploaded, if it fits a header: containers are almost any text."""
    fits = _is_mime(media_object.content_type) is not None
    return media_object.content_type if fits else "application/octet-stream"
