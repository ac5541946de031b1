"""The driver takes no answer for good that is not as it must be."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import repeat

import pytest

from benchmarks.load.wire import Expected, LoadError, Tally, Target, drive, exchange

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n"
    + bytes(500)
    + b"\r\n1f4\r\n"
    + bytes(500)
    + b"\r\n0\r\n\r\n"
)
CLOSING = GOOD.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
CUT = GOOD[:600]


@contextmanager
def answering(answer: bytes, *, keeps: bool = True) -> Iterator[Target]:
    """Answer each request with the same bytes; kept connections are closed without `keeps`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = []

        def serve(connection: socket.socket) -> None:
            # The driver may be gone before it has read all.
            with connection, suppress(ConnectionError):
                while connection.recv(65536):
                    connection.sendall(answer)
                    if not keeps:
                        return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield Target("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    for thread in (accepting, *threads):
        thread.join()


def driven(target: Target, size: int = 1000) -> Tally:
    expected = Expected(frozenset({200}), size)
    return drive(target, repeat(REQUEST, 20), expected, connections=2, seconds=30)


@pytest.mark.parametrize("answer", [GOOD, CHUNKED])
def test_every_request_is_answered_once(answer: bytes) -> None:
    with answering(answer) as target:
        assert 20 == len(driven(target).times)


def test_a_connection_that_the_server_ends_is_opened_again() -> None:
    with answering(CLOSING, keeps=False) as target:
        assert 20 == len(driven(target).times)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (GOOD.replace(b"200", b"503"), "status 503, not 200"),
        (GOOD.replace(b"1000", b"10000") + bytes(9000), "10000 bytes, not about 1000"),
        (CHUNKED.replace(b"1f4\r\n" + bytes(500) + b"\r\n0", b"0"), "500 bytes, not about 1000"),
    ],
)
def test_an_answer_that_is_not_as_it_must_be_ends_the_run(answer: bytes, complaint: str) -> None:
    with answering(answer) as target, pytest.raises(LoadError, match=complaint):
        driven(target)


@pytest.mark.parametrize("answer", [CUT, b""])
def test_an_answer_that_is_cut_ends_the_run(answer: bytes) -> None:
    with (
        answering(answer, keeps=False) as target,
        pytest.raises(LoadError, match=r"ended before the answer did|the connection broke"),
    ):
        driven(target)


def test_a_large_request_arrives_in_pieces() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        got = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while sum(map(len, got)) < 2**24:
                    got.append(connection.recv(2**16))
                connection.sendall(GOOD)

        thread = threading.Thread(target=serve)
        thread.start()
        target = Target("127.0.0.1", listener.getsockname()[1])
        tally = drive(target, iter([bytes(2**24)]), Expected(frozenset({200}), 1000), 1, 1)
        thread.join()
    assert 1 == len(tally.times)
    assert bytes(2**24) == b"".join(got)


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(LoadError, match=f"port {port}"):
        exchange(Target("127.0.0.1", port), REQUEST)
