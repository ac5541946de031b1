"""How `tams-gateway serve` starts, stops and refuses to start, under every server."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tams_gateway.testing.waiting import eventually
from tests.servers.nginx import free_port, wait_for_port
from tests.servers.process import SERVERS, Serve, refused, serving

each_server = pytest.mark.parametrize("server", SERVERS)


@each_server
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_first_process_ends_all_with_status_0(
    tmp_path: Path, server: str, workers: int, number: signal.Signals
) -> None:
    with serving(tmp_path, "--server", server, "--workers", str(workers)) as serve:
        processes = serve.processes()
        started = time.monotonic()

        # One of several workers of granian may miss a signal that comes while it starts, and is
        # killed at the end of the grace: still within the 10 s that are promised.
        limit = 10 if server == "granian" and workers > 1 else 5
        assert 0 == serve.stop(number)
        assert time.monotonic() - started < limit
        assert [] == [one for one in processes if _runs(one)]


def test_a_worker_of_gunicorn_that_is_told_to_end_while_it_starts_does_so(tmp_path: Path) -> None:
    """Else it would be killed when the grace is over, and hold up the end of all for so long."""
    with serving(tmp_path, "--server", "gunicorn") as serve:
        arbiter = serve.processes()[1]
        children = Path(f"/proc/{arbiter}/task/{arbiter}/children")
        for _ in range(5):
            (worker,) = children.read_text().split()
            os.kill(int(worker), signal.SIGKILL)
            while (new := children.read_text().split()) in ([], [worker]):
                pass
            os.kill(int(new[-1]), signal.SIGTERM)
            assert eventually(lambda new=new: not _runs(int(new[-1])), 3)  # type: ignore[misc]
            serve.wait()


def test_it_prints_where_the_api_and_the_data_are(tmp_path: Path) -> None:
    with serving(tmp_path) as serve:
        serve.stop()
        assert serve.process.stdout is not None
        printed = serve.process.stdout.read().decode()

    assert f"http://127.0.0.1:{serve.port}" in printed
    assert str(tmp_path / "data" / "tams.db") in printed
    assert str(tmp_path / "data" / "objects") in printed


@each_server
def test_after_a_kill_of_all_processes_the_same_command_starts_on_the_same_data(
    tmp_path: Path, server: str
) -> None:
    with serving(tmp_path, "--server", server, "--workers", "2") as serve:
        name = b'{"name": "kept"}'
        posted = serve.request("POST", "/service", name, {"Content-Type": "application/json"})
        assert 200 == posted.status
    with serving(tmp_path, "--server", server, "--workers", "2") as serve:
        assert b'"kept"' in serve.request("GET", "/service").body


@each_server
def test_when_the_first_process_alone_is_killed_the_others_end(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, "--server", server, "--workers", "2") as serve:
        processes = serve.processes()
        serve.process.kill()
        serve.process.wait()

        assert _end_within(10, processes)


@each_server
def test_a_killed_worker_is_replaced(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, "--server", server, "--workers", "2") as serve:
        time_limit = time.monotonic() + 10
        while len(serve.workers()) < 2 and time.monotonic() < time_limit:
            time.sleep(0.05)
        before = set(serve.workers())
        killed = before.pop()
        os.kill(killed, signal.SIGKILL)
        while time.monotonic() < time_limit:
            now = set(serve.workers())
            if killed not in now and len(now - before) >= 1:
                break
            time.sleep(0.05)

        assert killed not in now
        assert len(now) >= 2
        serve.wait()


@each_server
def test_a_request_in_flight_gets_its_answer(tmp_path: Path, server: str) -> None:
    """SIGTERM comes when half of a body is there; the rest follows two seconds later."""
    with serving(tmp_path, "--server", server) as serve:
        body = b'{"name": "in flight"}'
        head = f"POST /service HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        late = serve.open_socket(f"{head}Content-Type: application/json\r\n\r\n".encode())
        late.sendall(body[:5])
        _let_arrive(serve)
        serve.process.send_signal(signal.SIGTERM)
        with late:
            with pytest.raises(OSError, match=r"refused|reset|timed out"):
                _ask_until_refused(serve)
            late.sendall(body[5:])

            assert late.recv(100).startswith(b"HTTP/1.1 200 ")
        assert 0 == serve.process.wait(10)


@each_server
def test_what_stays_half_sent_does_not_hold_up_the_end(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, "--server", server) as serve:
        head = b"PUT /media/main/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"
        with serve.open_socket(head), serve.open_socket(b"GET /service HTT"):
            _let_arrive(serve)
            processes = serve.processes()
            started = time.monotonic()

            assert 0 == serve.stop()
            assert time.monotonic() - started < 10
            assert _end_within(0.5, processes)


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = refused(tmp_path, ["--port", port])

    _is_one_line(done, f"Error: cannot listen on 127.0.0.1 port {port}: Address already in use")


@each_server
def test_a_port_that_another_gateway_has_is_in_use(tmp_path: Path, server: str) -> None:
    with serving(tmp_path, "--server", server) as serve:
        done = refused(tmp_path, ["--server", server, "--port", str(serve.port)])

    _is_one_line(done, "Address already in use")


def test_a_bad_config_is_told_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("[serve]\nprot = 4010\n")

    _is_one_line(refused(tmp_path, ["--config", str(config)]), "serve.prot: unknown key")


def test_a_missing_plugin_is_told_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "missing.toml"
    config.write_text('[metadata]\nplugin = "nosuch"\n')

    _is_one_line(refused(tmp_path, ["--config", str(config)]), "no plugin 'nosuch'")


@each_server
def test_a_store_that_does_not_open_is_told_in_one_line(tmp_path: Path, server: str) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")

    _is_one_line(refused(tmp_path, ["--server", server, "--port", "0"]), "metadata: ")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_credentials_it_serves_this_machine_only(tmp_path: Path, host: str) -> None:
    done = refused(tmp_path, ["--host", host, "--port", "0"])

    _is_one_line(done, "refusing to serve")
    assert "[[auth]]" in done.stderr
    assert "auth_open = true" in done.stderr


def test_auth_open_serves_everybody(tmp_path: Path) -> None:
    config = tmp_path / "open.toml"
    config.write_text("[service]\nauth_open = true\n")
    with serving(tmp_path, "--config", str(config), "--host", "0.0.0.0") as serve:
        answer = serve.request("GET", "/service", headers={"Host": "gateway.example"})

    assert 200 == answer.status


def test_memory_refuses_several_workers(tmp_path: Path) -> None:
    config = tmp_path / "memory.toml"
    config.write_text('[metadata]\nplugin = "memory"\n[objects.main]\nplugin = "memory"\n')

    done = refused(tmp_path, ["--config", str(config), "--workers", "2", "--port", "0"])

    _is_one_line(done, "expected 1 worker, got 2")


@pytest.mark.parametrize("server", ["gunicorn", "granian"])
def test_a_server_that_is_not_installed_is_named(tmp_path: Path, server: str) -> None:
    """A module that hides the server stands in for its absence."""
    hide = f"import sys\nsys.modules[{server!r}] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hide)

    done = refused(tmp_path, ["--server", server, "--port", "0"], {"PYTHONPATH": str(tmp_path)})

    _is_one_line(done, f"{server} is not installed: {sys.executable} -m pip install {server}")


def test_options_win_over_the_config_and_a_file_over_the_variable(tmp_path: Path) -> None:
    config = tmp_path / "serve.toml"
    config.write_text('[serve]\nport = 1\nserver = "granian"\n[service]\nname = "by option"\n')
    other = tmp_path / "other.toml"
    other.write_text('[service]\nname = "by variable"\n')
    environment = {"TAMS_GATEWAY_CONFIG": str(other), "TAMS_GATEWAY__SERVE__WORKERS": "9"}
    options = ("--config", str(config), "--server", "gunicorn", "--workers", "1")
    with serving(tmp_path, *options, environment=environment) as serve:
        answer = serve.request("GET", "/service")

    assert b'"by option"' in answer.body
    assert "gunicorn" in answer.headers["server"]


def _is_one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode not in (0, None)
    assert words in done.stderr
    assert 1 == len(done.stderr.splitlines()), done.stderr


def _let_arrive(serve: Serve) -> None:
    """Return when what was sent before has reached the server: later requests were answered."""
    for _ in range(5):
        serve.request("GET", "/health")


def _ask_until_refused(serve: Serve) -> None:
    """Ask until nobody answers: gunicorn lets new connections wait until it has ended."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with serve.connection() as connection:
            connection.timeout = 1
            connection.request("GET", "/health")
            connection.getresponse().read()
        threading.Event().wait(0.1)


def _runs(number: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()
    except FileNotFoundError:
        return False


def _end_within(seconds: float, processes: list[int]) -> bool:
    end = time.monotonic() + seconds
    while any(map(_runs, processes)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(_runs, processes))


@pytest.mark.parametrize(
    "line",
    [
        "uvicorn tams_gateway.asgi:app --port {port}",
        "gunicorn tams_gateway.wsgi:app --threads 8 --bind 127.0.0.1:{port}",
        "granian --interface wsgi tams_gateway.wsgi:app --port {port}",
    ],
)
def test_the_apps_run_under_a_server_of_ones_own(tmp_path: Path, line: str) -> None:
    port = free_port()
    program, *options = line.format(port=port).split()
    command = [sys.executable, "-m", program, *options]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/service")
        assert 200 == connection.getresponse().status
        connection.close()
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_whose_guard_was_killed_at_once_ends_as_well(tmp_path: Path, server: str) -> None:
    """It has had no time to ask to be told of that."""
    serve = Serve(tmp_path, "--server", server)
    children: list[int] = []
    end = time.monotonic() + 10
    while not children and time.monotonic() < end:
        children = serve.processes()[1:]
    serve.process.kill()
    serve.process.communicate(timeout=10)

    while any(Path(f"/proc/{number}").exists() for number in children):
        assert time.monotonic() < end
        time.sleep(0.05)
