"""Logs are JSON lines on standard error, whoever writes them; none is lost or doubled."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.process import SERVERS, serving

SCRIPT = """
import logging, structlog
from tams_gateway import log
log.configure()
structlog.get_logger("ours").info("ours", path="/a", value=object)
structlog.get_logger("ours").debug("unseen")
try:
    raise ValueError("reason")
except ValueError:
    structlog.get_logger("ours").exception("failed")
for name in ("uvicorn.error", "gunicorn.error", "_granian"):
    logging.getLogger(name).info("theirs %s", "'GET /flows?a=b&access_token=c&d=e'")
logging.getLogger("uvicorn.access").info("unseen")
"""


def test_every_logger_writes_the_same_shape_without_tokens() -> None:
    """R-AUTH-03: gunicorn repeats the first line of a request that it does not understand."""
    theirs = "theirs 'GET /flows?a=b&access_token=...&d=e'"
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert b"" == done.stdout
    assert ["ours", "failed", *[theirs] * 3] == [line["event"] for line in lines]
    assert all({"timestamp", "level", "event"} <= line.keys() for line in lines)
    assert "/a" == lines[0]["path"]
    assert "ValueError: reason" in lines[1]["exception"]


def test_a_line_that_cannot_be_written_fails_nobody() -> None:
    """As where the log lies on a disk that is full."""
    with open("/dev/full", "wb") as full:
        script = f"{SCRIPT}\nprint('goes on')\nimport os, sys\nsys.stdout.flush()\nos._exit(0)"
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=full, check=True
        )

    assert b"goes on\n" == done.stdout


def test_a_traceback_on_a_terminal_shows_no_local_variables() -> None:
    """They hold passwords and tokens."""
    script = """
import structlog
from tams_gateway import log
log.configure()
password = "pass" + "word-1"
try:
    raise ValueError("reason")
except ValueError:
    structlog.get_logger("ours").exception("failed")
"""
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", script], stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65_536)
    os.close(ours)

    assert b"ValueError: reason" in shown
    assert b"password-1" not in shown


REQUESTS = """
import os, sys, threading, structlog
from datetime import UTC, datetime
from tams_gateway import log

def request(number):
    now = datetime.now(UTC)
    log.request(log.RequestLine(now, "GET", "/", "/", 200, 1.0, str(number), "me", "here", 0))

log.configure()
"""


SLOW = """
import os, time, types
from tams_gateway import log

def sleep(seconds):
    time.sleep(60 if os.path.exists("slow") else seconds)

log.time = types.SimpleNamespace(sleep=sleep)
"""


def lines(script: str) -> list[str]:
    """Run a script in a process; return the ids of its requests, and the other events."""
    done = subprocess.run(
        [sys.executable, "-c", REQUESTS + script], stderr=subprocess.PIPE, check=True
    )
    return [told(line) for line in done.stderr.splitlines()]


def told(line: bytes) -> str:
    """Return the id of a request's line, the event of another."""
    found = json.loads(line)
    return str(found["request_id"] if found["event"] == "request" else found["event"])


def test_other_lines_come_at_once_and_behind_the_requests_before_them() -> None:
    script = """
import logging
request(1)
structlog.get_logger("ours").error("ours")
request(2)
logging.getLogger("theirs").error("theirs")
os._exit(0)
"""
    assert ["1", "ours", "2", "theirs"] == lines(script)


def test_the_end_of_a_process_writes_what_was_gathered() -> None:
    assert ["1", "2"] == lines("request(1)\nrequest(2)")


def test_a_fork_doubles_and_loses_nothing() -> None:
    """With a thread at work in the parent; the child has a thread of its own for its lines."""
    script = """
request(1)
child = os.fork()
request(2 if child else 3)
if not child:
    threading.Event().wait(1)
    os._exit(0)
os.waitpid(child, 0)
"""
    assert ["1", "2", "3"] == sorted(lines(script))


def test_where_nobody_takes_the_lines_requests_wait() -> None:
    """What is gathered is bounded, and comes when the pipe is read."""
    script = """
done = 0

def ask():
    global done
    for done in range(20_000):
        request(done)

def wait():
    before = -1
    while before != done:
        before = done
        threading.Event().wait(0.5)
    print(done, flush=True)

threading.Thread(target=wait).start()
ask()
"""
    command = [sys.executable, "-c", REQUESTS + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert int(process.stdout.readline()) < 2000
        assert [str(number) for number in range(20_000)] == [*map(told, process.stderr)]


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_writes_each_request_soon_and_all_before_it_ends(
    tmp_path: Path, server: str
) -> None:
    """300 are more than are gathered, and the rest is written by the end, not by a lapse of time:
    once there is a file `slow`, gathered lines wait for a minute.
    """
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    environment = {"PYTHONPATH": str(tmp_path)}
    with serving(tmp_path, "--server", server, environment=environment) as serve:
        serve.request("GET", "/health", headers={"X-Request-ID": "first"})
        answered = time.monotonic()
        while b'"request_id":"first"' not in serve.log.read_bytes():
            assert time.monotonic() - answered < 1
            time.sleep(0.01)
        (tmp_path / "slow").touch()
        with serve.connection() as connection:
            for number in range(300):
                connection.request("GET", "/health", headers={"X-Request-ID": f"id-{number}"})
                connection.getresponse().read()
            assert 0 == serve.stop()
        written = [told(line) for line in serve.log.read_bytes().splitlines()]

    assert [f"id-{number}" for number in range(300)] == [
        name for name in written if name.startswith("id-")
    ]
