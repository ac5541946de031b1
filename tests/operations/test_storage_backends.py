"""GET /service/storage-backends (R-STB): two backends, `main` and `second`, as configured."""

import uuid

import pytest

from tams_gateway.testing.client import Client, quoted
from tests.deployments import by_form

PATH = "/service/storage-backends"

FOUR = {
    f"objects.{name}": {"plugin": "memory", "label": label, "default": False}
    for name, label in [("c", "Bravo"), ("d", "alpha"), ("e", "Zulu")]
}


def labels(client: Client, query: str = "") -> list[str]:
    return [backend["label"] for backend in client.listed(PATH, query=query)]


def test_a_backend_says_what_it_is(client: Client) -> None:
    """R-STB-01."""
    main, second = client.get(PATH).json
    for backend in (main, second):
        assert str(uuid.UUID(backend["id"])) == backend["id"]
        assert backend["store_type"] == "http_object_store"
        assert backend["provider"]
        assert backend["store_product"]


def test_exactly_one_backend_is_the_default(client: Client) -> None:
    """R-STB-02, B30."""
    marked = [one["label"] for one in client.get(PATH).json if one.get("default_storage")]

    assert marked == ["main"]


def test_backends_show_their_tags(client: Client) -> None:
    """R-STB-03, R-AUTH-10: as the config has them."""
    shown = {backend["label"]: backend["tags"] for backend in client.get(PATH).json}

    assert shown == {
        "main": {"tier": "hot", "auth_classes": ["news", "sport"]},
        "second": {"tier": "cold"},
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_backends_are_not_written(client: Client, method: str) -> None:
    """R-STB-03: there is no write API."""
    answer = client.request(method, PATH, json={"label": "third"})

    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    assert labels(client) == ["main", "second"]


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
@pytest.mark.config(**FOUR)
def test_backends_are_sorted_by_label(client: Client) -> None:
    """R-STB-04, R-PAGE-11, G-20: by code point, and reversed on request."""
    assert labels(client) == ["Bravo", "Zulu", "alpha", "main", "second"]
    assert labels(client, "reverse_order=true") == ["second", "main", "alpha", "Zulu", "Bravo"]


@pytest.mark.deployments("wsgi-memory", "asgi-memory")
@pytest.mark.config(**FOUR)
@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_backends_come_in_pages(client: Client, limit: int) -> None:
    """R-PAGE-03, R-PAGE-07: none lost, none twice, the count is the page's."""
    pages = list(client.pages(PATH, query={"limit": limit}))

    sizes = [int(page.headers["X-Paging-Count"]) for page in pages]
    assert sizes == [min(limit, 5 - start) for start in range(0, 5, limit)]
    assert labels(client, f"limit={limit}") == labels(client)
    assert labels(client, f"limit={limit}&reverse_order=true") == labels(client)[::-1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tag.tier=hot", ["main"]),
        ("tag.tier=hot,cold", ["main", "second"]),
        ("tag.tier=hot%2Ccold", ["main", "second"]),
        ("tag.tier=warm", []),
        ("tag.auth_classes=sport", ["main"]),
        ("tag_exists.auth_classes=true", ["main"]),
        ("tag_exists.auth_classes=false", ["second"]),
        ("tag.tier=hot&tag_exists.auth_classes=false", []),
    ],
)
def test_backends_are_filtered_by_tag(client: Client, query: str, expected: list[str]) -> None:
    """R-PAGE-14, R-PAGE-15, B5."""
    assert labels(client, query) == expected


@by_form
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "reverse_order=1", "page=%21", "tag_exists.tier=maybe"]
)
def test_a_bad_query_for_backends_is_refused(client: Client, query: str) -> None:
    """R-PAGE-19, G-21: 400 although the document lists none here."""
    assert client.get(f"{PATH}?{query}").status == 400
    assert client.head(f"{PATH}?{query}").status == 400


def test_backend_ids_are_the_same_on_every_start(client: Client) -> None:
    """R-STB-01: derived from the names of their sections."""
    namespace = uuid.UUID("5d2f0c1e-6f1b-5c8e-9d43-7a1f4e0b2c96")

    ids = {backend["label"]: backend["id"] for backend in client.get(PATH).json}

    assert ids == {name: str(uuid.uuid5(namespace, name)) for name in ("main", "second")}
    assert client.get(f"{PATH}/{quoted(ids['main'])}").status == 404
