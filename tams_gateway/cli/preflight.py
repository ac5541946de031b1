"""What can be told of a config before anything is served: `serve` refuses, `check` reports."""

import sys
from importlib.util import find_spec

from tams_gateway.config_file import ConfigError
from tams_gateway.http.network import is_loopback
from tams_gateway.settings import Settings


def check_server(settings: Settings) -> None:
    """Raise `ConfigError` if the server that is to run the gateway is not installed."""
    name = settings.serve.server
    if find_spec(name) is None:
        raise ConfigError(f"{name} is not installed: {sys.executable} -m pip install {name}")


def check_host(settings: Settings) -> None:
    """Refuse to serve anybody without credentials where nobody asked for that: `ConfigError`."""
    host = settings.serve.host
    if not settings.auth and not settings.service.auth_open and not is_loopback(host):
        raise ConfigError(
            f"refusing to serve {host} without credentials: configure [[auth]], or set "
            "auth_open = true in [service] to let anybody read, write and delete"
        )
