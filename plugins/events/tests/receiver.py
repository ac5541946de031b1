"""A receiver of webhooks over HTTP that misbehaves when it is told to."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Received(msgspec.Struct, frozen=True):
    """A request as it came; `headers` have names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answer(msgspec.Struct, frozen=True):
    """What to answer. A status of 0 drops the connection without a word.

    `pause` is before the answer, `trickle` between each two bytes of it, in seconds.
    """

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    pause: float = 0.0
    trickle: float = 0.0


Behaviour = Callable[[Received], Answer]


class Receiver:
    """Notes every request, and those that it accepted with a 2xx, in their order."""

    def __init__(self, behaviour: Behaviour = lambda _: Answer(), port: int = 0) -> None:
        self.behaviour = behaviour
        self.met: list[Received] = []
        self.accepted: list[Received] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                names = {name.lower(): value for name, value in self.headers.items()}
                if len(body) == length:  # Who runs out of time ends in the middle.
                    receiver._answer(self, Received(self.path, names, body))

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 200

            def handle_error(self, *_: object) -> None:
                """Whoever sends may go away."""

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        """Stop; who waits for an answer gets none."""
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, handler: BaseHTTPRequestHandler, received: Received) -> None:
        with self._lock:
            self.met.append(received)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            answer = self.behaviour(received)
            if answer.pause:
                self._ended.wait(answer.pause)
            handler.close_connection = not answer.status or self._ended.is_set()
            if answer.status and not self._ended.is_set():
                with self._lock:
                    if 200 <= answer.status < 300:
                        self.accepted.append(received)
                self._send(handler, answer)
        finally:
            with self._lock:
                self.at_once -= 1

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        handler.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            handler.send_header(name, value)
        if not answer.trickle:
            handler.end_headers()
            handler.wfile.write(answer.body)
            return
        for number in range(10_000):
            handler.send_header(f"X-{number}", "slow")
            handler.flush_headers()
            handler.wfile.flush()
            if self._ended.wait(answer.trickle):
                return


def numbers(received: list[Received]) -> list[int]:
    """Return which segments were told, by the seconds at which they begin."""
    return [
        int(segment["timerange"][1:].partition(":")[0])
        for one in received
        for segment in one.json["event"].get("segments", ())
    ]


def restarted(receiver: Receiver, pause: float) -> Receiver:
    """Close a receiver and open another one at the same port after a pause."""
    receiver.close()
    time.sleep(pause)
    after = Receiver(receiver.behaviour, receiver.port)
    after.met, after.accepted = receiver.met, receiver.accepted
    return after
