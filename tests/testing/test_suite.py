"""The published kit, by the command of the docs: our own stores pass it."""

import json
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import argon2
import jwt
import pytest

from tests.testing.kit import run

ALONE = "its provider says shared=False: its data live in one process"
IDLE = "it holds nothing open between calls"
UNGIVEN = "no right credentials were given: --tams-credentials 'HEADER: VALUE'"
NO_OUTBOX = "the gateway calls deliver: it reads no outbox itself"
OWN_OUTBOX = "it reads the outbox itself: nobody calls deliver"
NO_WEBHOOKS = "it delivers no webhooks"
NO_COPY = "it has no copy: what it is to hold comes through the gateway"

OURS: dict[str, tuple[str, set[str]]] = {
    "memory": ("--tams-metadata memory --tams-objects memory", {ALONE, IDLE, NO_COPY}),
    "sqlite": ("--tams-metadata sqlite", set()),
    "filesystem": ("--tams-objects filesystem --tams-option path={tmp}/x", {IDLE, NO_COPY}),
    "filesystem-process": (
        "--tams-objects filesystem --tams-option durability=process",
        {IDLE, NO_COPY},
    ),
    "log": ("--tams-events log", {NO_OUTBOX, NO_WEBHOOKS}),
    "webhook": ("--tams-events webhook", {OWN_OUTBOX}),
    "url_token": ("--tams-auth url_token", {UNGIVEN}),
}
"""The arguments for each, and why clauses are skipped."""


def _basic() -> tuple[list[str], str]:
    """Return the options of `basic` for a user of the config, and what that user sends."""
    hasher = argon2.PasswordHasher(1, 64, 1)
    users = {"alice": {"password": hasher.hash("a long password")}}
    options = [f"users={json.dumps(users)}", "memory_kib=64", "passes=1"]
    return options, "Authorization: Basic " + b64encode(b"alice:a long password").decode()


def _jwt() -> tuple[list[str], str]:
    """Return the options of `jwt` with a shared secret, and a token that it signed."""
    secret = secrets.token_urlsafe(48)
    claims = {"sub": "alice", "scope": "tams-api/read", "exp": int(time.time()) + 3600}
    return [f"secret={secret}"], "Authorization: Bearer " + jwt.encode(claims, secret)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "made"), [("basic", _basic), ("jwt", _jwt)])
def test_our_own_auth_providers_keep_their_contract(
    name: str, made: Callable[[], tuple[list[str], str]], tmp_path: Path
) -> None:
    options, credentials = made()
    given = [part for option in options for part in ("--tams-option", option)]

    found = run(tmp_path, "--tams-auth", name, *given, "--tams-credentials", credentials)

    assert 0 == found.status, found.text
    assert [] == found.clauses("SKIPPED")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", OURS)
def test_our_own_stores_keep_their_contracts(name: str, tmp_path: Path) -> None:
    arguments, reasons = OURS[name]

    found = run(tmp_path, *arguments.split())

    assert 0 == found.status, found.text
    assert [] == found.clauses("FAILED")
    assert reasons == set(found.clauses("SKIPPED"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say what to prove: --tams-metadata NAME or --tams-objects NAME or --tams-auth NAME"),
        (["--tams-metadata", "sqlit"], "--tams-metadata sqlit: no plugin 'sqlit'; installed: "),
        (["--tams-objects", "sqlite"], "plugin 'sqlite' does not fit [objects.NAME]"),
        (["--tams-metadata", "sqlite", "--tams-option", "pth=x"], "--tams-option pth: unknown key"),
        (["--tams-option", "path=x"], "--tams-option path=x: stands behind the plugin"),
        (["--tams-metadata", "sqlite", "--tams-option", "path"], "expected key=value"),
    ],
)
def test_what_cannot_be_run_is_told_in_a_line(
    arguments: list[str], reason: str, tmp_path: Path
) -> None:
    found = run(tmp_path, *arguments)

    assert 4 == found.status
    [line] = [line for line in found.text.splitlines() if "tams" in line.lower()][-1:]
    assert reason in found.text, line
