"""What we add to uvicorn: a header that stays half-sent, or grows without end, is cut off."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tams_gateway.cli.servers import run_uvicorn

WHOLE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def slow(_scope: Any, _receive: Any, send: Any) -> None:
    """Take longer to answer than a header may take."""
    await asyncio.sleep(0.5)
    start = {"type": "http.response.start", "status": 204, "headers": [(b"x", b"answered")]}
    await send(start)
    await send({"type": "http.response.body"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server that waits for a header no longer than a fifth of a second."""
    monkeypatch.setattr(run_uvicorn, "PATIENCE", 0.2)
    monkeypatch.setattr(run_uvicorn, "_LARGEST_HEADER", 10_000)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        slow, http=run_uvicorn.Protocol, lifespan="off", ws="none", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("half", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: loc"])
def test_a_header_that_stays_half_sent_is_cut_off(port: int, half: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(half)
        assert b"" == connection.recv(1000)


def test_a_header_without_end_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
        assert b"" == connection.recv(1000)


def test_the_clock_stops_while_the_app_works_and_between_requests(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for _ in range(2):
            connection.sendall(WHOLE)
            assert b"answered" in connection.recv(1000)
            threading.Event().wait(0.3)
        connection.sendall(b"GET / HT")
        assert b"" == connection.recv(1000)
