"""The object store `s3`: bytes in one bucket, past the gateway."""

import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import structlog

from tams_gateway.domain.health import Health
from tams_gateway.storage.errors import MissingError, StoreError
from tams_gateway.storage.objects import Chunks, Place, Product, Stat, Upload
from tams_gateway_s3 import examination
from tams_gateway_s3.border import MAKE_BUCKET, border, code_of, failed, tagged
from tams_gateway_s3.connection import Connection
from tams_gateway_s3.parts import copy_within, put_in_parts
from tams_gateway_s3.settings import Settings
from tams_gateway_s3.signing import Bucket, Signer, Wish

CHUNK: Final = 256 * 2**10
"""The size of the chunks that are read, in bytes."""

SMALL: Final = 8 * 2**20
"""What is written in one request, in bytes; more goes in parts."""

_AT_ONCE: Final = 1000
"""How many objects one request deletes at most."""

_VERSIONED_FOR: Final = 60.0
"""How long it is kept whether the bucket keeps versions, in seconds."""

_UNTOLD: Final = frozenset({"AccessDenied", "403", "NotImplemented", "MethodNotAllowed"})
"""The codes of a server that does not say whether it keeps versions."""

_log = structlog.get_logger("tams_gateway.plugin")


class S3Objects:
    """Objects in one bucket. `promised` is how long URLs must hold at least, in seconds.

    Nothing is asked of the server when it is opened, but for `create_bucket`. Raises ValueError
    for lifetimes that do not hold what `/service` promises.
    """

    def __init__(self, settings: Settings, promised: int, now: Callable[[], float]) -> None:
        self.settings = settings
        self.put_lifetime, self._get_lifetime = settings.lifetimes(promised)
        self.now = now
        self.what = f"bucket {settings.bucket} at {settings.server}"
        self.connection = Connection(settings, max(self.put_lifetime, self._get_lifetime))
        virtual = settings.addressing == "virtual"
        endpoint = settings.public_endpoint or settings.server
        self._bucket = Bucket.at(endpoint, settings.bucket, settings.region, virtual=virtual)
        self._get = Signer(self._bucket, settings.window)
        self._put = Signer(self._bucket)
        self._versioned: bool | None = None
        self._look_again = float("-inf")
        if settings.create_bucket:
            try:
                self.look()
            except StoreError as error:
                # Metadata are served all the same, and each `check` tries it again.
                _log.warning("bucket_not_made", error=str(error))

    def describe(self) -> Product:
        """Return what the storage-backend document says of a bucket."""
        aws = self.settings.server.rstrip("/").endswith("amazonaws.com")
        return Product("aws" if aws else "s3", "s3", region=self.settings.region)

    def upload(self, key: str, content_type: str, *, presigned: bool) -> Upload:
        """Return a signed PUT URL, which needs its content type and nothing else (B6)."""
        place = Place(key)
        if not presigned:
            return Upload(self._bucket.plain(place), False)
        wish = Wish("PUT", self.put_lifetime, content_type)
        [url] = self._put.urls(self.connection.credentials(), wish, [place], self.now())
        return Upload(url, True)

    def download(self, places: Sequence[Place], *, presigned: bool) -> list[str]:
        """Return URLs of the bucket, each of the version that was recorded."""
        if not presigned:
            return [self._bucket.plain(place) for place in places]
        wish = Wish("GET", self._get_lifetime)
        return self._get.urls(self.connection.credentials(), wish, places, self.now())

    def stat(self, place: Place) -> Stat:
        """Ask for the head of the object."""
        try:
            with border(self.what):
                answer = self._client.head_object(**self._at(place))
                tagged(answer)
                return Stat(
                    int(answer["ContentLength"]),
                    _version(answer),
                    content_type=answer.get("ContentType"),
                )
        except MissingError:
            # Such an answer does not tell a missing object from a missing bucket.
            self.look()
            raise

    def read(self, place: Place, first: int = 0, last: int | None = None) -> Chunks:
        """Ask for the bytes, and pass them on as they come."""
        size = self.stat(place).size
        if first >= size or (last is not None and last < first):
            return _nothing()
        last = size - 1 if last is None else min(last, size - 1)
        with border(self.what):
            answer = self._client.get_object(**self._at(place), Range=f"bytes={first}-{last}")
            if int(answer["ContentLength"]) != last - first + 1:
                answer["Body"].close()
                raise ValueError(f"{answer['ContentLength']} bytes for {first} to {last}")
            return self._chunks(answer["Body"])

    def _chunks(self, body: Any) -> Generator[bytes, None, None]:
        with closing(body), border(self.what):
            yield from body.iter_chunks(CHUNK)

    def write(self, key: str, content_type: str, chunks: Iterable[bytes]) -> Stat:
        """Write in one request or, if it is large, in parts: it appears with the last of them."""
        digest, size = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        pieces = counted()
        head = bytearray()
        for chunk in pieces:
            head += chunk
            if len(head) > SMALL:
                break
        target = {"Bucket": self.settings.bucket, "Key": key, "ContentType": content_type}
        if len(head) <= SMALL:
            with border(self.what):
                answer = tagged(self._client.put_object(**target, Body=bytes(head)))
        else:
            answer = put_in_parts(self._client, target, head, pieces, self.what)
        return Stat(size, _version(answer), digest.hexdigest(), content_type)

    def copy(self, key: str, content_type: str, source: object, place: Place) -> Stat | None:
        """Let the server copy from a bucket of its own; None from anywhere else."""
        if not isinstance(source, S3Objects) or not self._shares_server(source):
            return None
        stat = source.stat(place)
        target = {"Bucket": self.settings.bucket, "Key": key, "ContentType": content_type}
        origin = {"Bucket": source.settings.bucket, "Key": place.key}
        if place.version is not None:
            origin["VersionId"] = place.version
        answer = copy_within(self._client, target, origin, stat.size, self.what)
        made = self.stat(Place(key, _version(answer)))
        if made.size != stat.size:
            raise StoreError(f"{self.what}: a copy has {made.size} bytes, not {stat.size}")
        return Stat(made.size, made.version, content_type=content_type)

    def _shares_server(self, other: "S3Objects") -> bool:
        mine, theirs = self.settings, other.settings
        names = ("server", "region", "access_key", "secret_key", "session_token", "profile")
        return all(getattr(mine, name) == getattr(theirs, name) for name in names)

    def delete(self, places: Sequence[Place]) -> Mapping[Place, str]:
        """Delete a thousand at a time; without a version, every one of a key."""
        failed: dict[Place, str] = {}
        wanted: list[tuple[Place, dict[str, str]]] = []
        for place in places:
            if place.version is not None:
                wanted.append((place, {"Key": place.key, "VersionId": place.version}))
            elif self.keeps_versions():
                wanted += [(place, one) for one in self._versions(place.key)]
            else:
                wanted.append((place, {"Key": place.key}))
        for start in range(0, len(wanted), _AT_ONCE):
            failed |= self._delete(wanted[start : start + _AT_ONCE])
        return failed

    def _delete(self, wanted: Sequence[tuple[Place, dict[str, str]]]) -> dict[Place, str]:
        by_name = {(one["Key"], one.get("VersionId")): place for place, one in wanted}
        # Some servers name no version in an error, and all of these are of one key then.
        by_name |= {(one["Key"], None): place for place, one in wanted}
        with border(self.what):
            answer = self._client.delete_objects(
                Bucket=self.settings.bucket,
                Delete={"Objects": [one for _, one in wanted], "Quiet": False},
            )
            errors = answer.get("Errors", [])
            if not errors and not answer["Deleted"]:
                raise KeyError("Deleted")
            return {
                by_name[one["Key"], one.get("VersionId")]: f"{one['Code']}: {one.get('Message')}"
                for one in errors
                if one["Code"] not in ("NoSuchKey", "NoSuchVersion")
            }

    def _versions(self, key: str) -> list[dict[str, str]]:
        """Return every version of a key, markers of deletion too."""
        found: list[dict[str, str]] = []
        with border(self.what):
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.settings.bucket, Prefix=key):
                for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    if one["Key"] == key:
                        found.append({"Key": key, "VersionId": one["VersionId"]})
                # Keys come in order, and this is the first of those that begin so.
                if page.get("NextKeyMarker", key) != key:
                    break
        return found

    def keeps_versions(self) -> bool:
        """Whether the bucket keeps versions, asked once a minute at most.

        Raises `StoreError` where that was never known and the server does not answer.
        """
        if time.monotonic() >= self._look_again:
            try:
                with border(self.what):
                    answer = self._client.get_bucket_versioning(Bucket=self.settings.bucket)
                self._versioned = answer.get("Status") in ("Enabled", "Suspended")
            except StoreError as error:
                if code_of(error.__cause__) in _UNTOLD:
                    self._versioned = False
                elif self._versioned is None:
                    raise
            self._look_again = time.monotonic() + _VERSIONED_FOR
        return bool(self._versioned)

    def look(self) -> None:
        """Ask for the bucket, and make it if that is wanted. Raises `StoreError` without it."""
        try:
            with border(self.what):
                self._client.head_bucket(Bucket=self.settings.bucket)
        except MissingError as error:
            if not self.settings.create_bucket:
                raise StoreError(f"{self.what}: is not there; {MAKE_BUCKET}") from error
            self.create_bucket()

    def create_bucket(self) -> bool:
        """Make the bucket; return whether it was not there. Raises `StoreError`."""
        place = {"LocationConstraint": self.settings.region}
        more = {} if self.settings.region == "us-east-1" else {"CreateBucketConfiguration": place}
        try:
            with border(self.what):
                self._client.create_bucket(Bucket=self.settings.bucket, **more)
        except StoreError as error:
            if code_of(error.__cause__) == "BucketAlreadyOwnedByYou":
                return False
            raise
        return True

    def check(self) -> Health:
        """Ask for the bucket."""
        try:
            self.look()
        except StoreError as error:
            return failed(error)
        return Health(True, self.what)

    def examine(self) -> Sequence[Health]:
        """Try all that clients and the gateway do, on a key of its own."""
        return examination.examine(self)

    def close(self) -> None:
        """Close the connections."""
        self.connection.close()

    @property
    def _client(self) -> Any:
        return self.connection.client

    def _at(self, place: Place) -> dict[str, str]:
        where = {"Bucket": self.settings.bucket, "Key": place.key}
        return where if place.version is None else {**where, "VersionId": place.version}


def _nothing() -> Generator[bytes, None, None]:
    yield from ()


def _version(answer: Mapping[str, Any]) -> str | None:
    """Return the version that the server told; `null` is that of a bucket that keeps none."""
    version = answer.get("VersionId")
    return None if version in (None, "null") else str(version)
