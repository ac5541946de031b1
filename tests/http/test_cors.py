"""Which pages may call (G-01, B3)."""

import pytest

from tams_gateway.http.cors import LOCAL, Cors

BASE = "https://tams.example/v8"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (LOCAL, "http://localhost:3000", True),
        (LOCAL, "http://localhost", True),
        (LOCAL, "http://127.0.0.1:5173", True),
        (LOCAL, "http://[::1]:80", True),
        (LOCAL, "https://localhost:3000", False),
        (LOCAL, "http://localhost.evil.example", False),
        (LOCAL, "http://localhost:3000.evil.example", False),
        (LOCAL, "null", False),
        (["https://a.example"], "https://a.example", True),
        (["https://a.example"], "https://aXexample", False),
        (["https://a.example"], "https://a.example:8443", False),
        (["*"], "null", True),
        ([], "https://tams.example", True),
        ([], "https://tams.example.evil", False),
        ([], "https://a.example", False),
    ],
)
def test_an_origin_is_allowed_by_the_rule_or_as_our_own(
    origins: list[str], origin: str, allowed: bool
) -> None:
    assert allowed is Cors(origins).allows(origin, BASE)


def test_an_allowed_origin_is_told_what_it_may_read() -> None:
    headers = Cors(["https://a.example"]).headers("https://a.example", BASE)

    assert "https://a.example" == headers["Access-Control-Allow-Origin"]
    exposed = headers["Access-Control-Expose-Headers"]
    for name in ("Link", "Location", "X-Paging-NextKey", "Content-Range", "Accept-Ranges", "ETag"):
        assert name in exposed
    assert "Access-Control-Allow-Credentials" not in headers


def test_caches_keep_the_answers_to_each_origin_apart() -> None:
    cors = Cors(["https://a.example"])

    for origin in (None, "https://a.example", "https://b.example"):
        assert "Origin" == cors.headers(origin, BASE)["Vary"]


def test_any_origin_gets_a_star() -> None:
    assert "*" == Cors(["*"]).headers("null", BASE)["Access-Control-Allow-Origin"]
