"""A client of the gateway's API for tests: the same calls in process and over real HTTP."""

import json as json_codec
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import quote

import msgspec

Scalar: TypeAlias = str | int | bool
Query: TypeAlias = str | Mapping[str, Scalar] | Iterable[tuple[str, Scalar]]
"""A raw query string, or names and values that are percent-encoded (commas, too: B5)."""


class Headers(Mapping[str, str]):
    """Header fields by name in any case; several of one name are joined by commas."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._fields: dict[str, str] = {}
        for name, value in pairs:
            known = self._fields.get(name.lower())
            self._fields[name.lower()] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields})"


class Answer(msgspec.Struct, frozen=True):
    """What the gateway answered."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded. Raises ValueError if it is no JSON."""
        return json_codec.loads(self.body)

    @property
    def next(self) -> str | None:
        """The URL of the next page, None on the last (R-PAGE-03)."""
        link = self.headers.get("link")
        if link is None:
            return None
        match = re.fullmatch(r'<([^<>]+)>; rel="next"', link)
        assert match is not None, f"not just one next link: {link}"
        return match[1]


class Transport(Protocol):
    """Carries requests to a gateway. `base` is the URL that clients put before each path."""

    base: str

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request for a raw target, `/path?query` below the base, and return the answer."""

    def close(self) -> None:
        """Release what is held."""


Watch: TypeAlias = Callable[[str, str, Answer], None]
"""Gets method, target below the base, and answer; raises if the answer is not as it must be."""

_ABSENT: Final = object()


class Client:
    """Sends requests and hands every answer to the watches.

    Paths are sent as they are: what needs percent-encoding, the caller encodes (`quoted`); raw
    brackets pass. A path may hold a query, and may be an absolute URL below the gateway's base, or
    below that of one of the `stores`: object stores whose URLs lead past the gateway. They get the
    headers of the request alone, and the watches are not told of their answers.
    """

    def __init__(
        self, transport: Transport, watches: Iterable[Watch] = (), stores: Iterable[Transport] = ()
    ) -> None:
        self.transport = transport
        self.watches = list(watches)
        self.stores = list(stores)
        self.headers: dict[str, str] = {}
        """Sent with every request."""

    @property
    def base(self) -> str:
        """The URL of the API, without a trailing slash."""
        return self.transport.base

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = _ABSENT,
        body: bytes = b"",
        headers: Mapping[str, str] = {},
        query: Query | None = None,
    ) -> Answer:
        """Send one request; `json` (also None, as `null`) goes as `application/json`."""
        for store in self.stores:
            if path.startswith(f"{store.base}/"):
                return store.send(method, path[len(store.base) :], headers, body)
        sent = {**self.headers, **headers}
        if json is not _ABSENT:
            body = json_codec.dumps(json).encode()
        if body and not any(name.lower() == "content-type" for name in sent):
            sent["Content-Type"] = "application/json"
        target = self._target(path, query)
        answer = self.transport.send(method, target, sent, body)
        for watch in self.watches:
            watch(method, target, answer)
        return answer

    def get(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a GET."""
        return self.request("GET", path, query=query, headers=headers)

    def head(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a HEAD."""
        return self.request("HEAD", path, query=query, headers=headers)

    def options(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send an OPTIONS."""
        return self.request("OPTIONS", path, query=query, headers=headers)

    def put(
        self,
        path: str,
        *,
        json: object = _ABSENT,
        body: bytes = b"",
        headers: Mapping[str, str] = {},
        query: Query | None = None,
    ) -> Answer:
        """Send a PUT."""
        return self.request("PUT", path, json=json, body=body, headers=headers, query=query)

    def post(
        self,
        path: str,
        *,
        json: object = _ABSENT,
        body: bytes = b"",
        headers: Mapping[str, str] = {},
        query: Query | None = None,
    ) -> Answer:
        """Send a POST."""
        return self.request("POST", path, json=json, body=body, headers=headers, query=query)

    def delete(
        self, path: str, *, query: Query | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        """Send a DELETE."""
        return self.request("DELETE", path, query=query, headers=headers)

    def pages(self, path: str, *, query: Query | None = None) -> Iterator[Answer]:
        """Get a listing page by page, following its links."""
        answer = self.get(path, query=query)
        assert answer.status == 200, f"{answer.status}: {answer.body[:2000]!r}"
        yield answer
        while (url := answer.next) is not None:
            answer = self.get(url)
            assert answer.status == 200, f"{answer.status}: {answer.body[:2000]!r}"
            yield answer

    def listed(self, path: str, *, query: Query | None = None) -> list[Any]:
        """Get all items of a listing, following its links."""
        return [item for page in self.pages(path, query=query) for item in page.json]

    def close(self) -> None:
        """Release the transports."""
        for one in (self.transport, *self.stores):
            one.close()

    def _target(self, path: str, query: Query | None) -> str:
        if not path.startswith("/"):
            assert path.startswith(f"{self.base}/"), f"{path} is not below {self.base}"
            path = path[len(self.base) :]
        if query is None:
            return path
        text = query if isinstance(query, str) else _encoded(query)
        return f"{path}{'&' if '?' in path else '?'}{text}"


def quoted(text: str) -> str:
    """Return the text as one path segment, or one name or value of a query."""
    return quote(text, safe="")


def _encoded(query: Mapping[str, Scalar] | Iterable[tuple[str, Scalar]]) -> str:
    pairs = query.items() if isinstance(query, Mapping) else query
    return "&".join(f"{quoted(name)}={quoted(_text(value))}" for name, value in pairs)


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
