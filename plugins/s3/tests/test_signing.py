"""Our signatures are those of botocore, byte by byte, for any key and every kind of URL."""

import datetime
import functools
from typing import Any
from unittest import mock

import botocore.auth
import botocore.session
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from tams_gateway_s3.signing import Bucket, Credentials, Signer, Wish

from tams_gateway.storage.objects import Place

NOW = 1_790_000_000
AT = datetime.datetime.fromtimestamp(NOW, datetime.UTC)

keys = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40
).filter(lambda key: "//" not in key and not key.startswith("/") and "/." not in f"/{key}")

SERVERS = (
    ("http://127.0.0.1:8333", "path", None),
    ("https://s3.example.com:443", "virtual", "Fwo+/token=="),
    ("http://s3.example.com:80", "path", "Fwo+/token=="),
    ("https://Gateway.example.com/s3/", "path", None),
    ("http://[::1]:9000", "path", None),
    ("https://s3.eu-west-1.amazonaws.com", "virtual", None),
)
"""Endpoints with a style of addressing and a session token: a client of botocore costs much."""


@functools.cache
def client_of(endpoint: str, credentials: Credentials, style: str) -> Any:
    session = botocore.session.Session()
    session.set_credentials(credentials.access_key, credentials.secret_key, credentials.token)
    return session.create_client(
        "s3",
        region_name="eu-west-1",
        endpoint_url=endpoint,
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )


def theirs(
    endpoint: str, credentials: Credentials, wish: Wish, key: str, style: str, version: str | None
) -> str:
    """Return what botocore makes of the same."""
    client = client_of(endpoint, credentials, style)
    parameters = {"Bucket": "media", "Key": key}
    if wish.content_type is not None:
        parameters["ContentType"] = wish.content_type
    if version is not None:
        parameters["VersionId"] = version
    operation = {"GET": "get_object", "PUT": "put_object"}[wish.method]
    with mock.patch.object(
        botocore.auth, "get_current_datetime", return_value=AT.replace(tzinfo=None)
    ):
        url: str = client.generate_presigned_url(operation, parameters, wish.lifetime)
    return url


@settings(max_examples=100, deadline=None)
@given(
    key=keys,
    server=st.sampled_from(SERVERS),
    method=st.sampled_from(["GET", "PUT"]),
    content_type=st.sampled_from([None, "video/mp2t", "text/plain; charset=utf-8"]),
    version=st.sampled_from([None, "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"]),
    lifetime=st.integers(1, 604_800),
)
def test_a_url_is_that_of_botocore(
    key: str,
    server: tuple[str, str, str | None],
    method: str,
    content_type: str | None,
    version: str | None,
    lifetime: int,
) -> None:
    endpoint, style, token = server
    if method == "GET":
        content_type = None
    else:
        version = None
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    wish = Wish(method, lifetime, content_type)
    bucket = Bucket.at(endpoint, "media", "eu-west-1", virtual=style == "virtual")

    [ours] = Signer(bucket).urls(credentials, wish, [Place(key, version)], NOW + 0.7)

    assert ours == theirs(endpoint, credentials, wish, key, style, version)


@pytest.fixture
def credentials() -> Credentials:
    return Credentials("a", "b")


def test_in_a_window_the_url_of_a_key_stays_the_same(credentials: Credentials) -> None:
    signer = Signer(Bucket.at("http://s3", "media", "us-east-1", virtual=False), window=300)
    wish = Wish("GET", 3600)
    start = NOW - NOW % 300

    first, same, other = (
        signer.urls(credentials, wish, [Place("a.ts")], start + later)[0] for later in (0, 299, 300)
    )

    assert first == same
    assert first != other
    assert "X-Amz-Expires=3900" in first


def test_new_credentials_sign_at_once(credentials: Credentials) -> None:
    signer = Signer(Bucket.at("http://s3", "media", "us-east-1", virtual=False))
    wish = Wish("GET", 60)

    [old] = signer.urls(credentials, wish, [Place("a.ts")], NOW)
    [new] = signer.urls(Credentials("a", "c"), wish, [Place("a.ts")], NOW)

    assert old != new
