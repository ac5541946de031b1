"""What the driver sends: each operation as the requests of one round after another."""

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from .site import FIRST, LISTED, Site, flow, segment
from .wire import Expected, LoadError, Target, exchange

SMALL: Final = 64 * 2**10
LARGE: Final = 4 * 2**20
"""The sizes of media, in bytes."""

_PLACES: Final = 100
"""How many different pages of a flow are asked for, in an order of chance."""

_UPLOADS: Final = 32
"""How many objects are uploaded, again and again; the first one is downloaded."""

_NUMBERS: Final = 10**6
"""How many requests of one kind a round may hold."""

Judge = Callable[[bytes], None]
"""Raises `ValueError` for a body that is not what was asked for."""


class Operation:
    """One thing that clients ask of a server; what it needs there is made with it.

    The first request is sent at once and its answer looked at closely; those of the load are
    compared with that.
    """

    weight = 1
    """How many segments, objects or the like one request stands for."""

    def __init__(
        self,
        site: Site,
        name: str,
        statuses: Sequence[int] = (200,),
        judge: Judge = lambda body: None,
        target: Target | None = None,
    ) -> None:
        self.site = site
        self.name = name
        self.target = target or site.target
        request = next(self.batch(1, 1)[0])
        self.status, self.answer = exchange(self.target, request)
        self.expected = Expected(frozenset(statuses), len(self.answer))
        self.expected.check(self.status, len(self.answer), self.answer)
        try:
            judge(self.answer)
        except (ValueError, KeyError, TypeError) as error:
            raise LoadError(f"{name} at {site.url}: {error}: {self.answer[:600]!r}") from error

    def batch(self, shares: int, likely: int) -> list[Iterator[bytes]]:
        """Return the requests of one round for each of so many processes.

        `likely` is how many of them are going to be sent in all; there may be more, or too few.
        """
        raise NotImplementedError


class Repeated(Operation):
    """Sends the same requests over and over."""

    def __init__(self, site: Site, name: str, requests: Sequence[bytes], *more: Any) -> None:
        self._requests = requests
        super().__init__(site, name, *more)

    def batch(self, shares: int, likely: int) -> list[Iterator[bytes]]:
        """Return the requests in a circle, which each process enters elsewhere."""
        step = max(1, len(self._requests) // shares)
        starts = [share * step % len(self._requests) for share in range(shares)]
        return [
            itertools.cycle(self._requests[start:] + self._requests[:start])  # type: ignore[operator]
            for start in starts
        ]


class NewFlows(Operation):
    """Puts flows that the server does not know, each with a source of its own."""

    def __init__(self, site: Site, name: str) -> None:
        self._run = uuid.uuid4().hex[:8]
        marked = "00000000-0000-4000-8000-000000000000"
        body = json.dumps(flow(marked, "new", source_id=marked)).encode()
        request = site.request("PUT", f"/flows/{marked}", body, name)
        self._form = request.replace(b"%", b"%%").replace(marked.encode(), b"%b")
        super().__init__(site, name, (201,))

    def batch(self, shares: int, likely: int) -> list[Iterator[bytes]]:
        """Return requests with ids that no other request has."""
        numbers = self.site.seconds(_NUMBERS)
        start = next(numbers)
        return [
            map(self._request, range(start + share, start + _NUMBERS, shares))
            for share in range(shares)
        ]

    def _request(self, number: int) -> bytes:
        one = f"{self._run}-0000-4000-8000-{number:012x}".encode()
        other = f"{self._run}-0000-4000-9000-{number:012x}".encode()
        return self._form % (one, one, other)


class Posts(Operation):
    """Posts segments of objects that the server has given out, one or many in a request."""

    def __init__(self, site: Site, name: str, weight: int) -> None:
        self.weight = weight
        self._flow = site.new_flow()
        super().__init__(site, name, (201,))

    def batch(self, shares: int, likely: int) -> list[Iterator[bytes]]:
        """Return requests for objects that are allocated now, a good part more than likely."""
        number = (likely + likely // 3 + 2 * shares) * self.weight
        ids = self.site.allocate(self._flow, number)
        posts = list(map(segment, ids, self.site.seconds(number)))
        groups = [posts[at : at + self.weight] for at in range(0, number, self.weight)]
        return [map(self._request, groups[share::shares]) for share in range(shares)]

    def _request(self, group: Sequence[str]) -> bytes:
        text = group[0] if self.weight == 1 else f"[{','.join(group)}]"
        return self.site.request("POST", f"/flows/{self._flow}/segments", text.encode(), self.name)


def _get_flow(site: Site, name: str, length: int) -> Operation:
    path = f"/flows/{site.flow(length)}"
    return Repeated(site, name, [site.request("GET", path, name=name)])


def _list_flows(site: Site, name: str, length: int) -> Operation:
    site.listed_flows()
    path = f"/flows?tag.tams-load=listed&limit={LISTED}"
    return Repeated(site, name, [site.request("GET", path, name=name)], (200,), _holds(LISTED))


def _page(number: int, query: str, urls: bool = True) -> Callable[[Site, str, int], Operation]:
    """Return the operation that reads so many segments from a second on; its query is given."""

    def made(site: Site, name: str, length: int) -> Operation:
        path = f"/flows/{site.flow(length)}/segments?limit={number}&{query}"
        last = max(length - number, 0)
        chance = random.Random(length)
        starts = [FIRST + chance.randint(0, last) for _ in range(_PLACES if last else 1)]
        requests = [
            site.request(
                "GET", f"{path}&timerange={quote(f'[{at}:0_{at + number}:0)', safe='')}", name=name
            )
            for at in starts
        ]
        return Repeated(site, name, requests, (200,), _holds(min(number, length), urls))

    return made


def _latest(site: Site, name: str, length: int) -> Operation:
    path = f"/flows/{site.flow(length)}/segments?limit=1&reverse_order=true&presigned=true"
    return Repeated(site, name, [site.request("GET", path, name=name)], (200,), _holds(1, True))


def _allocate(number: int) -> Callable[[Site, str, int], Operation]:
    def made(site: Site, name: str, length: int) -> Operation:
        path, body = f"/flows/{site.new_flow()}/storage", json.dumps({"limit": number}).encode()
        request = site.request("POST", path, body, name)

        def judge(answer: bytes) -> None:
            _holds(number)(json.dumps(json.loads(answer)["media_objects"]).encode())

        return Repeated(site, name, [request], (201,), judge)

    return made


def _put_media(size: int) -> Callable[[Site, str, int], Operation]:
    def made(site: Site, name: str, length: int) -> Operation:
        target, requests = _uploads(site, name, size)
        return Repeated(site, name, requests, (200, 201, 204), lambda body: None, target)

    return made


def _get_media(size: int) -> Callable[[Site, str, int], Operation]:
    def made(site: Site, name: str, length: int) -> Operation:
        flow_id, (one,) = site.new_flow(), site.storage(site.new_flow(), 1)
        target, (request,) = _uploads(site, name, size, [one])
        status, answer = exchange(target, request)
        if status >= 300:
            raise LoadError(f"upload of {size} bytes: {status} {answer[:600]!r}")
        post = json.loads(segment(one["object_id"], next(site.seconds(1))))
        site.call("POST", f"/flows/{flow_id}/segments", post)
        shown = site.call("GET", f"/objects/{quote(one['object_id'], safe='')}?presigned=true")
        target, path = site.media(shown["get_urls"][0]["url"])
        request = site.raw(target, "GET", path, None, {"User-Agent": name})
        return Repeated(site, name, [request], (200,), _has_size(size), target)

    return made


def _uploads(
    site: Site, name: str, size: int, objects: Sequence[Mapping[str, Any]] | None = None
) -> tuple[Target, list[bytes]]:
    """Return the requests that upload bytes to objects, new ones if none are given."""
    content = random.Random(size).randbytes(size)
    requests = []
    for one in objects or site.storage(site.new_flow(), _UPLOADS):
        put = one["put_url"]
        target, path = site.media(put["url"])
        fields = {**put.get("headers", {}), "Content-Type": put["content-type"], "User-Agent": name}
        requests.append(site.raw(target, "PUT", path, content, fields))
    return target, requests


def _holds(number: int, urls: bool = False) -> Judge:
    """Return what refuses a listing of another length, or whose items lack one URL each."""

    def judge(body: bytes) -> None:
        items = json.loads(body)
        if len(items) != number:
            raise ValueError(f"{len(items)} items, not {number}")
        if urls and any(len(item["get_urls"]) != 1 for item in items):
            raise ValueError("expected one presigned URL for each segment")

    return judge


def _has_size(size: int) -> Judge:
    def judge(body: bytes) -> None:
        if len(body) != size:
            raise ValueError(f"{len(body)} bytes, not {size}")

    return judge


_SIGNED: Final = "presigned=true"
_NO_URLS: Final = "accept_get_urls="

OPERATIONS: Final[Mapping[str, Callable[[Site, str, int], Operation]]] = {
    "put-flow": lambda site, name, length: NewFlows(site, name),
    "get-flow": _get_flow,
    "list-flows": _list_flows,
    "post-segment": lambda site, name, length: Posts(site, name, 1),
    "post-1000": lambda site, name, length: Posts(site, name, 1000),
    "get-100": _page(100, _SIGNED),
    "get-1000": _page(1000, _SIGNED),
    "get-100-without-urls": _page(100, _NO_URLS, urls=False),
    "get-1000-without-urls": _page(1000, _NO_URLS, urls=False),
    "latest": _latest,
    "middle": _page(1, _SIGNED),
    "allocate-100": _allocate(100),
    "put-media-small": _put_media(SMALL),
    "put-media": _put_media(LARGE),
    "get-media-small": _get_media(SMALL),
    "get-media": _get_media(LARGE),
}
"""What can be measured, by name, made for a server and a flow of so many segments."""

LENGTHY: Final = frozenset(
    name for name in OPERATIONS if name.startswith(("get-1", "latest", "middle"))
)
"""Those that read the segments of a flow, whose length they are measured with."""
