"""Tokens of a real OpenID provider, another program: logged in to, discovered, trusted."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest
import urllib3

from plugins.auth.tests.logins import bearing
from tams_gateway.testing import samples
from tests.deployments import config, in_process
from tests.spec.official import watches

CALLBACK = "https://app.example/callback"
CLAIMS = {"sub": "alice", "scope": "openid tams-api/read tams-api/write", "groups": ["news"]}


class OpenId:
    """A provider at work, as its clients see it."""

    def __init__(self, base: str) -> None:
        self._pool = urllib3.PoolManager(retries=False)
        found = self._send("GET", f"{base}/.well-known/openid-configuration")
        self.document: Mapping[str, str] = msgspec.json.decode(found.data)

    def log_in(self, client: str) -> str:
        """Log alice in with the authorization code grant, and return her token."""
        query = {"client_id": client, "redirect_uri": CALLBACK, "response_type": "code"}
        authorize = f"{self.document['authorization_endpoint']}?{urlencode(query)}&scope=openid"
        sent = self._send("POST", authorize, {"sub": "alice"})
        assert sent.status == 302, sent.data
        code = parse_qs(urlsplit(sent.headers["location"]).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
        secret = {"client_id": client, "client_secret": "any"}
        answer = self._send("POST", self.document["token_endpoint"], form | secret)
        assert answer.status == 200, answer.data
        token: str = msgspec.json.decode(answer.data)["id_token"]
        return token

    def close(self) -> None:
        self._pool.clear()

    def _send(
        self, method: str, url: str, form: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        body = None if form is None else urlencode(form)
        headers = {"content-type": "application/x-www-form-urlencoded"} if body else {}
        return self._pool.request(method, url, body=body, headers=headers, redirect=False)


@pytest.fixture
def openid() -> Iterator[OpenId]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    claims = msgspec.json.encode(CLAIMS).decode()
    command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(port), "--user-claims", claims]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        provider = connected(f"http://127.0.0.1:{port}", process)
        yield provider
        provider.close()
    finally:
        process.kill()
        process.wait()


def connected(base: str, process: "subprocess.Popen[bytes]") -> OpenId:
    while True:
        try:
            return OpenId(base)
        except urllib3.exceptions.HTTPError:
            assert process.poll() is None, "the provider did not start"
            time.sleep(0.05)


def test_a_token_of_an_openid_provider_is_good_here(openid: OpenId, tmp_path: Path) -> None:
    """R-AUTH-12 too; one for another client of the provider, or of another issuer, is not."""
    auth = {"plugin": "jwt", "jwks_url": openid.document["jwks_uri"], "audience": "tams"}
    issuer = {"issuer": openid.document["issuer"]}
    settings = config("asgi-memory", tmp_path, {"auth": [auth | issuer]})
    flow = samples.flow()
    path = f"/flows/{flow['id']}"
    with in_process("asgi-memory", settings, watches()) as at:
        token = openid.log_in("tams")
        assert at.client.put(path, json=flow, headers=bearing(token)).status == 201
        assert at.client.get(path, headers=bearing(token)).json["created_by"] == "alice"
        assert at.client.delete(path, headers=bearing(token)).status == 403
        assert at.client.get(path, headers=bearing(openid.log_in("other"))).status == 401
    settings = config("wsgi-memory", tmp_path, {"auth": [auth | {"issuer": "https://other"}]})
    with in_process("wsgi-memory", settings, watches()) as at:
        assert at.client.get(path, headers=bearing(token)).status == 401
