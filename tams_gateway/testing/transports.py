"""Ways from the test client to a gateway: WSGI and ASGI in process, and HTTP.

The in-process ones carry the raw path beside the decoded one, as real servers do, so that encoded
slashes work (R-GEN-06).
"""

import asyncio
import http.client
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from io import BytesIO
from types import TracebackType
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit
from wsgiref.types import WSGIApplication

from tams_gateway.testing.client import Answer, Headers

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_PEER = "127.0.0.1"


class Wsgi:
    """Calls a WSGI app in the thread of the caller; any number of threads may."""

    base = "http://localhost"

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Call the app."""
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": target,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": _PEER,
            "HTTP_HOST": "localhost",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, fields: list[tuple[str, str]], exc_info: object = None, /
        ) -> Callable[[bytes], object]:
            started.append((status, fields))
            return _no_write

        chunks = self._app(environ, start_response)
        try:
            answered = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        status, fields = started[-1]
        return Answer(int(status[:3]), Headers(fields), answered)

    def close(self) -> None:
        """Nothing is held."""


def _no_write(data: bytes) -> object:
    raise NotImplementedError("the app uses the write function of WSGI's past")


class Loop:
    """An event loop in a thread of its own, entered by `with`."""

    def __enter__(self) -> "Loop":
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="test-loop")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, work: Any) -> Any:
        """Run a coroutine in the loop's thread and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


class Lifespan:
    """Starts and ends an ASGI app as a server does; both run in one loop."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def start(self) -> None:
        """Tell the app that serving begins. Raises RuntimeError if it refuses."""
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        scope: Message = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": {},
        }
        self._task = asyncio.ensure_future(self._app(scope, self._inbox.get, self._outbox.put))
        await self._tell("startup")

    async def end(self) -> None:
        """Tell the app that serving ends."""
        await self._tell("shutdown")
        await self._task

    async def _tell(self, event: str) -> None:
        await self._inbox.put({"type": f"lifespan.{event}"})
        reply = await self._outbox.get()
        if reply["type"] != f"lifespan.{event}.complete":
            raise RuntimeError(f"{event}: {reply}")


class Asgi:
    """Calls an ASGI app in a loop of its own; any number of threads may."""

    base = "http://localhost"

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._loop = Loop().__enter__()
        self._lifespan = Lifespan(app)
        self._loop.run(self._lifespan.start())

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Call the app."""
        answer: Answer = self._loop.run(self._send(method, target, headers, body))
        return answer

    def close(self) -> None:
        """Tell the app that serving ends, and end the loop."""
        self._loop.run(self._lifespan.end())
        self._loop.__exit__(None, None, None)

    async def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        path, _, query = target.partition("?")
        fields = {"host": "localhost", "content-length": str(len(body)), **headers}
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in fields.items()
            ],
            "client": (_PEER, 50000),
            "server": ("localhost", 80),
        }
        request = [{"type": "http.request", "body": body, "more_body": False}]
        events: list[Message] = []
        done = asyncio.Event()

        async def receive() -> Message:
            if request:
                return request.pop()
            await done.wait()
            return {"type": "http.disconnect"}

        async def send(event: Message) -> None:
            events.append(event)

        await self._app(scope, receive, send)
        done.set()
        start, *bodies = events
        return Answer(
            start["status"],
            Headers(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in start["headers"]
            ),
            b"".join(event.get("body", b"") for event in bodies),
        )


class Http:
    """Speaks HTTP/1.1 to a base URL, over one kept connection for each thread."""

    def __init__(self, base: str, timeout: float = 30) -> None:
        self.base = base.rstrip("/")
        self._url = urlsplit(self.base)
        self._timeout = timeout
        self._local = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send the request; once more where the server closed a connection that was idle."""
        path = f"{self._url.path}{target}"
        sent = {name: value.encode("latin-1") for name, value in headers.items()}
        kept = hasattr(self._local, "connection")
        try:
            return self._exchange(method, path, sent, body)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection().close()
            if not kept:
                raise
            return self._exchange(method, path, sent, body)

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, bytes], body: bytes
    ) -> Answer:
        connection = self._connection()
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return Answer(response.status, Headers(response.getheaders()), response.read())

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            connection = http.client.HTTPConnection(
                self._url.hostname or "", self._url.port, timeout=self._timeout
            )
            self._opened.append(connection)
            self._local.connection = connection
        known: http.client.HTTPConnection = self._local.connection
        return known
