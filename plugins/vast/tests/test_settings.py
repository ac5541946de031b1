"""Every mistake in a section of the plugin is told by its key."""

import pytest
from tams_gateway_vast.plugin import tams_metadata_store
from tams_gateway_vast.settings import Settings

from tams_gateway.plugin import Secret

GOOD = {
    "endpoints": ("http://vast-1", "https://10.0.0.2:8443/"),
    "access_key": Secret("a"),
    "secret_key": Secret("b"),
    "bucket": "tams-db",
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"endpoints": ()}, "endpoints: expected at least one URL"),
        ({"endpoints": ("vast-1",)}, "endpoints: 'vast-1' is no URL"),
        ({"endpoints": ("http://vast-1/tams",)}, "endpoints: 'http://vast-1/tams' is no URL"),
        ({"endpoints": ("http://vast-1:port",)}, "endpoints: 'http://vast-1:port' is no URL"),
        ({"endpoints": ("http://a@vast-1",)}, "endpoints: 'http://a@vast-1' is no URL"),
        ({"endpoints": ("http://vast-1", "http://vast-1/")}, "endpoints: expected each URL once"),
        ({"bucket": "tams/db"}, "bucket: expected letters, digits"),
        ({"schema": "täms"}, "schema: expected letters, digits"),
        ({"shards": 0}, "shards: expected 1 to 4096, got 0"),
        ({"retries": 0}, "retries: expected 1 to 100"),
        ({"batch_rows": 65_537}, "batch_rows: expected 1 to 65536"),
        ({"timeout": 0}, "timeout: expected more than 0"),
        ({"patience": float("nan")}, "patience: expected more than 0"),
        ({"ca_bundle": "ca.pem", "verify": False}, "ca_bundle: is not read with verify = false"),
    ],
)
def test_a_mistake_is_told(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words}"):
        Settings(**{**GOOD, **wrong})  # type: ignore[arg-type]


def test_certificates_are_checked_by_what_is_given() -> None:
    trusts = [
        Settings(**{**GOOD, **more}).trust  # type: ignore[arg-type]
        for more in ({}, {"ca_bundle": "ca.pem"}, {"verify": False})
    ]
    assert trusts == [True, "ca.pem", False]


def test_only_without_a_guard_are_several_processes_refused() -> None:
    provider = tams_metadata_store()
    shared = {
        guard: provider.is_shared(Settings(**GOOD, guard=guard))  # type: ignore[arg-type]
        for guard in ("auto", "r", "k", "process")
    }
    assert shared == {"auto": True, "r": True, "k": True, "process": False}
