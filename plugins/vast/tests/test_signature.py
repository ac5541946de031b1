"""Our signatures are those of the SDK's own session, byte by byte."""

import calendar
import time

import requests
from aws_requests_auth.aws_auth import AWSRequestsAuth
from hypothesis import given, settings
from hypothesis import strategies as st
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.transport.session import Session
from tams_gateway_vast.transport.signature import Signer
from urllib3.util import parse_url
from vastdb._internal import VastdbApi

from tams_gateway.plugin import Secret


def _auth(url: str) -> AWSRequestsAuth:
    api = VastdbApi("key", "secret", endpoints=[url], max_entities_per_page=1, version_check=False)
    return api._session_create(api.endpoints[0]).auth


def _session(url: str) -> Session:
    given = Settings((url,), Secret("key"), Secret("secret"), "bucket")
    return Session(parse_url(url), given, "agent")


URLS = (
    "http://vast.example.com:8080",
    "http://VAST.example.com",
    "https://vast.example.com:443",
    "http://[::1]:9000",
)
AUTHS = {url: _auth(url) for url in URLS}
SESSIONS = {url: _session(url) for url in URLS}

names = st.text("azAZ09_-.~", min_size=1, max_size=6)
values = st.text("azAZ09-_.~+", max_size=6) | st.just("a%2Fb%20c")
parameters = st.lists(names | st.tuples(names, values).map("=".join), max_size=3).map("&".join)
paths = st.lists(names.filter(lambda name: name.strip(".")), max_size=3).map("/".join)


@settings(max_examples=40)
@given(
    url=st.sampled_from(URLS),
    method=st.sampled_from(("GET", "PUT", "POST", "DELETE")),
    path=paths,
    query=parameters,
    body=st.none() | st.binary(max_size=9),
)
def test_a_signature_is_that_of_the_sdk(
    url: str, method: str, path: str, query: str, body: bytes | None
) -> None:
    target = f"/{path}?{query}" if query else f"/{path}"
    theirs = requests.Request(method, url + target, data=body, auth=AUTHS[url]).prepare().headers
    at = calendar.timegm(time.strptime(theirs["x-amz-date"], "%Y%m%dT%H%M%SZ"))
    ours = SESSIONS[url]._signer.headers(method, target, body, at)
    assert ours == {name: theirs[name] for name in ours}
    assert len(ours) == 3


def test_a_signer_takes_the_key_of_each_day() -> None:
    signer = Signer("key", "secret", "vast.example.com")
    for at in (1_790_000_000, 1_790_086_400, 1_790_000_000):
        fresh = Signer("key", "secret", "vast.example.com")
        assert signer.headers("GET", "/", None, at) == fresh.headers("GET", "/", None, at)
