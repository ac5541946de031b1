"""`tams-gateway user` and `tams-gateway token` on a real file, beside a gateway at work."""

import functools
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias
from unittest import mock

import msgspec
import pytest
from click.testing import CliRunner
from tams_gateway_auth.passwords import Passwords, is_hash
from tams_gateway_auth.token_commands import token
from tams_gateway_auth.user_commands import user

from tams_gateway import selection
from tams_gateway.cli.main import main
from tams_gateway.cli.stores import bench, importing
from tams_gateway.operations.kinds import AUTH_LOG
from tams_gateway.plugin import loader
from tams_gateway.plugin.commands import Openers
from tams_gateway.settings import load
from tams_gateway.storage.query import Query
from tests.deployments import Deployment, in_process

CONFIG = """
[[auth]]
plugin = "basic"
memory_kib = 32
passes = 1
lock_after = 1
users = { carol = { password = "HASH" } }
[[auth]]
plugin = "url_token"
[metadata]
plugin = "sqlite"
path = "FOLDER/tams.db"
durability = "process"
[objects.main]
plugin = "filesystem"
path = "FOLDER/objects"
"""

Run: TypeAlias = Callable[..., str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tams.toml"
    hash_ = Passwords(32, 1).hash("config")
    path.write_text(CONFIG.replace("FOLDER", str(tmp_path)).replace("HASH", hash_))
    return path


@pytest.fixture
def run(path: Path) -> Iterator[Run]:
    """Return what runs a command on the config, and gives what it printed.

    Without the way through `tams-gateway`, which loads every plugin to find the command.
    """

    def run(command: str, given: str | None = None, status: int = 0) -> str:
        group, name, *rest = command.split()
        arguments = [name, "--config", str(path), *rest]
        done = CliRunner().invoke(
            {"user": user, "token": token}[group],
            arguments,
            input=given,
            catch_exceptions=False,
            obj=Openers(bench, importing),
        )
        assert done.exit_code == status, done.output
        return done.stdout if status == 0 else done.stderr

    with mock.patch.object(selection, "load", functools.cache(loader.load)):
        yield run


@pytest.fixture
def gateway(path: Path) -> Iterator[Deployment]:
    with in_process("wsgi-sqlite", load(path, {}), []) as deployment:
        yield deployment


def status(gateway: Deployment, name: str, password: str) -> int:
    """Return the status of a request of a user."""
    value = b64encode(f"{name}:{password}".encode()).decode()
    return gateway.client.get("/flows", headers={"authorization": f"Basic {value}"}).status


def test_a_running_gateway_heeds_each_change_of_a_user_at_once(
    run: Run, gateway: Deployment
) -> None:
    assert status(gateway, "alice", "secret") == 401
    run("user add alice --password-stdin", "secret\n")
    assert status(gateway, "alice", "secret") == 200
    run("user suspend alice")
    assert status(gateway, "alice", "secret") == 401
    run("user activate alice")
    assert status(gateway, "alice", "secret") == 200
    run("user passwd alice --password-stdin", "other")
    assert [status(gateway, "alice", one) for one in ("other", "secret")] == [200, 401]
    assert json.loads(run("user show alice"))["state"] == "locked"
    assert status(gateway, "alice", "other") == 401
    run("user activate alice")
    assert status(gateway, "alice", "other") == 200
    run("user remove alice")
    assert status(gateway, "alice", "other") == 401
    log = gateway.gateway.metadata.find(Query(AUTH_LOG)).items
    entries = sorted((msgspec.json.decode(one.body) for one in log), key=lambda one: one["action"])
    changes = [
        (one["action"], one["who"], one["detail"])
        for one in entries
        if one["action"].startswith("user_")
    ]
    assert sorted(changes) == [
        ("user_changed", "alice", "activated"),
        ("user_changed", "alice", "activated"),
        ("user_changed", "alice", "password"),
        ("user_changed", "alice", "suspended"),
        ("user_created", "alice", ""),
        ("user_removed", "alice", ""),
    ]
    assert not any(word in repr(entries) for word in ("secret", "other", "argon2"))


def test_a_user_is_shown_with_all_but_the_password(run: Run) -> None:
    run("user add alice --scope write --scope tams-api/admin --group news --password-stdin", "pw")
    shown = json.loads(run("user show alice"))
    assert shown.pop("created")[:2] == "20"
    assert shown == {
        "name": "alice",
        "state": "active",
        "scopes": ["tams-api/admin", "tams-api/write"],
        "groups": ["news"],
        "in_config": False,
        "failed_logins": 0,
        "locked_until": "-",
    }
    assert run("user list") == (
        "NAME   STATE   SCOPES       GROUPS\n"
        "carol  active  read         -\n"
        "alice  active  admin,write  news\n"
    )


def test_a_password_is_asked_for_twice_and_never_shown(run: Run) -> None:
    printed = run("user add alice", "secret\nsecret\n")
    assert "secret" not in printed
    assert "Error: The two entered values do not match." in run(
        "user passwd alice", "one\ntwo\n", status=1
    )


REFUSED = [
    ("user add alice --password-stdin", 1, "user alice is there already"),
    ("user add carol --password-stdin", 1, "user carol is there already"),
    ("user add a:b --password-stdin", 2, "expected a name without colons"),
    ("user add bob --scope all --password-stdin", 2, "expected one of read, write, delete"),
    ("user show bob", 1, "no user bob"),
    ("user suspend bob", 1, "no user bob"),
    ("user activate bob", 1, "no user bob"),
    ("user passwd bob --password-stdin", 1, "no user bob"),
    ("user remove bob", 1, "no user bob"),
    ("user suspend carol", 1, "user carol is named in the config: change it there"),
    ("user passwd carol --password-stdin", 1, "user carol is named in the config"),
    ("user remove carol", 1, "user carol is named in the config"),
    ("token create a --network studio", 2, "'studio' does not appear to be an IPv4"),
    ("token create a:b", 2, "expected a name without colons"),
    ("token create a --days 0", 2, "0 is not in the range x>=1"),
    ("token revoke nothing", 1, "no token nothing"),
]


def test_what_cannot_be_done_is_said_and_changes_nothing(run: Run) -> None:
    run("user add alice --password-stdin", "pw")
    before = run("user list"), run("token list")
    for command, code, reason in REFUSED:
        assert reason in run(command, "secret", status=code)
    assert (run("user list"), run("token list")) == before


def test_an_empty_password_is_refused(run: Run) -> None:
    assert "expected a password of 1 to" in run("user add alice --password-stdin", "\n", status=1)


def test_a_locked_user_of_the_config_is_activated(run: Run, gateway: Deployment) -> None:
    assert [status(gateway, "carol", one) for one in ("wrong", "config")] == [401, 401]
    run("user activate carol")
    assert status(gateway, "carol", "config") == 200


def test_a_hash_for_the_config_is_printed_alone() -> None:
    done = CliRunner().invoke(main, ["user", "hash", "--password-stdin"], input="secret\n")
    assert is_hash(done.stdout.strip())
    assert Passwords(32, 1).verify("secret", done.stdout.strip())


def test_a_token_is_shown_once_and_holds_until_it_is_revoked(run: Run, gateway: Deployment) -> None:
    created = run("token create ingester --scope read --group news --days 2 --network 127.0.0.1")
    text = created.removesuffix("\n")
    query = {"access_token": text}
    assert gateway.client.get("/flows", query=query).status == 200
    listed = run("token list")
    assert text not in listed
    heading, row = listed.splitlines()
    assert heading.split() == (
        ["ID", "NAME", "SCOPES", "GROUPS", "NETWORKS", "CREATED", "EXPIRES", "LAST", "USE"]
    )
    assert re.fullmatch(
        r"[0-9a-f]{12} +ingester +read +news +127\.0\.0\.1( +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ){3}",
        row,
    )
    assert run(f"token revoke {row[:12]}") == f"revoked {row[:12]} ingester\n"
    assert gateway.client.get("/flows", query=query).status == 401


def test_all_tokens_of_a_name_are_revoked_at_once(run: Run) -> None:
    for name in ("a", "b", "a"):
        run(f"token create {name}")
    assert run("token revoke a").count("revoked") == 2
    (left,) = run("token list").splitlines()[1:]
    assert left.split()[1] == "b"
