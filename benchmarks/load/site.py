"""One TAMS server: where it is, who asks, and the flows that it needs for reading."""

import base64
import itertools
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

from .wire import LoadError, Target, exchange

FIRST: Final = 1_000_000_000
"""The second at which every flow begins: all timestamps have the same number of digits."""

LISTED: Final = 100
"""So many flows have the tag by which they are listed."""

_BULK: Final = 1000
_SPACE: Final = uuid.UUID("5a1f7e55-0b6e-4c1c-9a8e-6d0c4d5c1f00")

Progress = Callable[[str, int, int], None]
"""Told what is made, how much of it there is, and how much is wanted."""


class Credentials(NamedTuple):
    """Who asks: a line of the header, or a parameter of every query."""

    header: str = ""
    query: str = ""

    @classmethod
    def basic(cls, text: str) -> "Credentials":
        """Return those of `user:password`."""
        return cls(header=f"Authorization: Basic {base64.b64encode(text.encode()).decode()}\r\n")

    @classmethod
    def bearer(cls, token: str) -> "Credentials":
        """Return those of a bearer token."""
        return cls(header=f"Authorization: Bearer {token}\r\n")

    @classmethod
    def in_query(cls, token: str) -> "Credentials":
        """Return those of a token that goes as `?access_token=`."""
        return cls(query=f"access_token={quote(token, safe='')}")


NOBODY: Final = Credentials()


class Site:
    """A server by its base URL. `pid` is its first process, if its CPU time is to be counted."""

    def __init__(
        self,
        url: str,
        credentials: Credentials = NOBODY,
        pid: int | None = None,
        progress: Progress = lambda what, done, wanted: None,
    ) -> None:
        self.url = url.rstrip("/")
        self.pid = pid
        self.target = _target(self.url)
        self.progress = progress
        self._path = urlsplit(self.url).path
        self._credentials = credentials
        self._seconds = itertools.count(FIRST)
        self._flow: str | None = None

    def request(self, method: str, path: str, body: bytes | None = None, name: str = "") -> bytes:
        """Return a request to a path below the base URL, ready to be sent.

        `name` is told as the client, so that logs and stand-ins know what it is for.
        """
        token = self._credentials.query
        query = f"{'&' if '?' in path else '?'}{token}" if token else ""
        return self.raw(
            self.target,
            method,
            f"{self._path}{path}{query}",
            body,
            {"User-Agent": name or "tams-load"},
            self._credentials.header,
        )

    def media(self, url: str) -> tuple[Target, str]:
        """Return where an absolute URL leads: the server, and the path with its query."""
        parts = urlsplit(url)
        return _target(url), f"{parts.path}?{parts.query}" if parts.query else parts.path

    @staticmethod
    def raw(
        target: Target,
        method: str,
        path: str,
        body: bytes | None,
        fields: Mapping[str, str],
        more: str = "",
    ) -> bytes:
        """Return a request to a path of a server."""
        default = target.port == (443 if target.tls else 80)
        host = target.host if default else f"{target.host}:{target.port}"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Accept: */*"]
        if body is not None:
            fields = {
                "Content-Type": "application/json",
                **fields,
                "Content-Length": f"{len(body)}",
            }
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return ("\r\n".join(lines) + "\r\n" + more + "\r\n").encode() + (body or b"")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and return what its answer's JSON says, None if there is none.

        Raises `LoadError` from 300 up.
        """
        sent = None if body is None else json.dumps(body).encode()
        status, answer = exchange(self.target, self.request(method, path, sent))
        if status >= 300:
            raise LoadError(f"{method} {self.url}{path}: {status} {answer[:600]!r}")
        return json.loads(answer) if answer else None

    def flow(self, segments: int) -> str:
        """Return the id of a flow with so many segments of a second each.

        What is missing of them is made; a flow that an earlier run left is taken as it is.
        """
        flow_id = str(uuid.uuid5(_SPACE, f"read {segments}"))
        self.call("PUT", f"/flows/{flow_id}", flow(flow_id, f"{segments} segments"))
        there = self._filled(flow_id)
        while there < segments:
            ids = self.allocate(flow_id, min(_BULK, segments - there))
            posts = [json.loads(segment(one, FIRST + there + at)) for at, one in enumerate(ids)]
            self.call("POST", f"/flows/{flow_id}/segments", posts)
            there += len(ids)
            self.progress(f"flow of {segments} segments", there, segments)
        return flow_id

    def _filled(self, flow_id: str) -> int:
        path = f"/flows/{flow_id}/segments?reverse_order=true&limit=1&accept_get_urls="
        last = self.call("GET", path)
        if not last:
            return 0
        return int(last[0]["timerange"].partition("_")[2].partition(":")[0]) - FIRST

    def new_flow(self) -> str:
        """Return the id of the flow that this run writes to."""
        if self._flow is None:
            self._flow = str(uuid.uuid4())
            self.call("PUT", f"/flows/{self._flow}", flow(self._flow, "written"))
        return self._flow

    def listed_flows(self) -> None:
        """Make the flows that are listed by their tag, and as many without it."""
        for at in range(LISTED):
            for tag in ("listed", "other"):
                flow_id = str(uuid.uuid5(_SPACE, f"{tag} {at}"))
                self.call("PUT", f"/flows/{flow_id}", flow(flow_id, f"{tag} {at}", tag))

    def allocate(self, flow_id: str, number: int) -> list[str]:
        """Return the ids of so many new objects, in several steps if the server gives fewer."""
        return [one["object_id"] for one in self.storage(flow_id, number)]

    def storage(self, flow_id: str, number: int) -> list[dict[str, Any]]:
        """Return so many new objects with their URLs, as the server shows them."""
        made: list[dict[str, Any]] = []
        while len(made) < number:
            wanted = {"limit": min(_BULK, number - len(made))}
            answer = self.call("POST", f"/flows/{flow_id}/storage", wanted)
            made += answer["media_objects"]
        return made[:number]

    def seconds(self, number: int) -> Iterator[int]:
        """Return so many seconds that no segment of the written flow has had."""
        start = next(self._seconds)
        self._seconds = itertools.count(start + number)
        return iter(range(start, start + number))


class Twin(Site):
    """A server that answers like another one, and holds nothing: what is made is made there.

    New objects are taken from a thousand, again and again.
    """

    def __init__(self, url: str, real: Site, pid: int | None = None) -> None:
        super().__init__(url, pid=pid)
        self._real = real
        self._objects: Iterator[dict[str, Any]] | None = None

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Let the other server do it."""
        return self._real.call(method, path, body)

    def storage(self, flow_id: str, number: int) -> list[dict[str, Any]]:
        """Return objects of the other server."""
        if self._objects is None:
            self._objects = itertools.cycle(self._real.storage(flow_id, _BULK))
        return list(itertools.islice(self._objects, number))

    def media(self, url: str) -> tuple[Target, str]:
        """Return where an absolute URL of the other server would lead here."""
        return self.target, super().media(url)[1]


def flow(flow_id: str, label: str, tag: str = "none", source_id: str | None = None) -> Any:
    """Return the document of a flow of video, with a source of its own unless one is named."""
    return {
        "id": flow_id,
        "source_id": source_id or str(uuid.uuid5(_SPACE, flow_id)),
        "label": label,
        "format": "urn:x-nmos:format:video",
        "codec": "video/h264",
        "container": "video/mp2t",
        "tags": {"tams-load": tag},
        "essence_parameters": {
            "frame_width": 1920,
            "frame_height": 1080,
            "frame_rate": {"numerator": 25},
        },
    }


def segment(object_id: str, second: int) -> str:
    """Return the JSON of a segment of one second, as a recorder of 25 frames a second tells it."""
    return (
        f'{{"object_id":"{object_id}","timerange":"[{second}:0_{second + 1}:0)",'
        '"last_duration":"0:40000000","sample_offset":0,"sample_count":25,"key_frame_count":1}'
    )


def _target(url: str) -> Target:
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    return Target(parts.hostname or "localhost", parts.port or (443 if tls else 80), tls)
