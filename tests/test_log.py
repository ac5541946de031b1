"""Logs are JSON lines on standard error, whoever writes them."""

import json
import os
import pty
import subprocess
import sys

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
    logging.getLogger(name).info("theirs %s", 1)
logging.getLogger("uvicorn.access").info("unseen")
"""


def test_every_logger_writes_the_same_shape() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert b"" == done.stdout
    assert ["ours", "failed", *["theirs 1"] * 3] == [line["event"] for line in lines]
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
