"""A real nginx in front of a gateway: it strips a prefix and says so in `X-Forwarded-*`."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PREFIX = "/tams/v8.2"

_CONFIG = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log stderr error;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {root}/client;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  client_max_body_size 0;
  # One connection of the tests has more requests than nginx lets one have by default.
  keepalive_requests 1000000;
  large_client_header_buffers 8 64k;
  # A plain "proxy_pass http://gateway/" hands on the path decoded, and so splits encoded slashes.
  map $request_uri $below {{ "~^{prefix}(?<rest>/.*)$" $rest; }}
  upstream gateway {{ server 127.0.0.1:{upstream}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location {prefix}/ {{
      proxy_pass http://gateway$below;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Host gateway.invalid;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Prefix {prefix};
    }}
  }}
}}
"""


@contextmanager
def nginx(upstream_port: int, tmp_path: Path) -> Iterator[str]:
    """Run nginx before the gateway on that port; yield the base URL under which it is reached.

    The gateway must trust 127.0.0.1 as a proxy. Skips the test where nginx is not installed.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx-light")
    root = tmp_path / "nginx"
    root.mkdir()
    port = free_port()
    config = root / "nginx.conf"
    config.write_text(_CONFIG.format(root=root, upstream=upstream_port, port=port, prefix=PREFIX))
    process = subprocess.Popen([program, "-p", str(root), "-c", str(config), "-e", "stderr"])
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}{PREFIX}"
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """Return once something listens there. Raises AssertionError if the process ends first."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
            assert time.monotonic() < end, f"nothing listens on port {port} after {seconds} s"
            time.sleep(0.02)
        else:
            return
