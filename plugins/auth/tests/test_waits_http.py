"""Under ASGI a token that was verified a moment ago costs no thread; whatever may wait has one."""

import threading
from pathlib import Path

import pytest

from plugins.auth.tests.logins import AUTH, basic, bearing, later, log_in, provider
from tams_gateway.auth.principal import Principal
from tams_gateway.auth.provider import Credentials
from tests.deployments import config, in_process
from tests.spec.official import watches


def test_only_what_may_wait_needs_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = [*AUTH, {"plugin": "basic", "users": AUTH[0]["issue"]["users"], "memory_kib": 32}]
    auth.append({"plugin": "url_token"})
    settings = config("asgi-memory", tmp_path, {"auth": auth})
    with in_process("asgi-memory", settings, watches()) as at:
        token = bearing(log_in(at.client)["access_token"])
        chain, threads = at.assembly.chain, []
        authenticate = chain.authenticate

        def noting(credentials: Credentials) -> Principal:
            threads.append(threading.current_thread().name.partition("-")[0])
            return authenticate(credentials)

        monkeypatch.setattr(chain, "authenticate", noting)
        for headers in (token, token, basic("alice"), {}, bearing("tams_x"), token):
            at.client.get("/flows", headers=headers)
        later(at, 4)
        at.client.get("/flows", headers=token)
        at.client.get("/flows?access_token=x")
        at.client.get("/flows?access_token=x&access_token=y")
        loop, hopped = threads[1], threads[0]
        assert loop != hopped
        assert threads == [hopped, loop, hopped, loop, hopped, loop, hopped, hopped]
        assert provider(at)._verified
