"""`tams-gateway user`: the users of the metadata store, beside a gateway that may run on it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from tams_gateway.auth.journal import AuthAction, AuthEntry
from tams_gateway.auth.principal import Scope
from tams_gateway.plugin import Context
from tams_gateway.plugin.commands import bench, config_option
from tams_gateway_auth.commands import print_table, rights_options, time, words
from tams_gateway_auth.passwords import Passwords
from tams_gateway_auth.users import User, Users, UserSettings, check_name

_stdin_option = click.option(
    "--password-stdin",
    "stdin",
    is_flag=True,
    help="Read the password from standard input instead of asking for it.",
)


@click.group()
def user() -> None:
    """Manage users and their passwords."""


@user.command()
@config_option
@click.argument("name")
@rights_options
@_stdin_option
def add(
    path: Path | None, name: str, scopes: Sequence[Scope], groups: Sequence[str], stdin: bool
) -> None:
    """Add a user."""
    try:
        check_name(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    with _users(path) as (users, context):
        _absent(users.find(name))
        made = User(
            name,
            _hash(users.hash, stdin),
            frozenset(scopes),
            frozenset(groups),
            created=int(context.now()),
        )
        users.change(name, lambda stored: replace(made, lock=_absent(stored).lock))
        _note(context, "user_created", name)


@user.command(name="list")
@config_option
def list_users(path: Path | None) -> None:
    """List users with their state, scopes and groups."""
    with _users(path) as (users, context):
        rows = [
            (one.name, _state(one, context), words(one.scopes), words(one.groups))
            for one in users.every()
        ]
    print_table(("NAME", "STATE", "SCOPES", "GROUPS"), rows)


@user.command()
@config_option
@click.argument("name")
def show(path: Path | None, name: str) -> None:
    """Show a user as JSON, without the password."""
    with _users(path) as (users, context):
        found = _present(users.find(name))
        shown = {
            "name": name,
            "state": _state(found, context),
            "scopes": sorted(scope.value for scope in found.scopes),
            "groups": sorted(found.groups),
            "in_config": name in users.configured,
            "created": time(found.created or None),
            "failed_logins": found.lock.failures,
            "locked_until": time(found.lock.until or None),
        }
    click.echo(msgspec.json.format(msgspec.json.encode(shown).decode()))


@user.command()
@config_option
@click.argument("name")
def suspend(path: Path | None, name: str) -> None:
    """Keep a user out, from the next request on."""
    with _users(path) as (users, context):
        _refuse_configured(users, name)
        users.change(name, lambda stored: replace(_present(stored), suspended=True))
        _note(context, "user_changed", name, "suspended")


@user.command()
@config_option
@click.argument("name")
def activate(path: Path | None, name: str) -> None:
    """Let a user in again that was suspended or is locked."""
    with _users(path) as (users, context):
        _present(users.find(name))
        users.change(name, lambda stored: replace(stored.unlocked(), suspended=False))
        _note(context, "user_changed", name, "activated")


@user.command()
@config_option
@click.argument("name")
@_stdin_option
def passwd(path: Path | None, name: str, stdin: bool) -> None:
    """Give a user another password, and unlock it."""
    with _users(path) as (users, context):
        _refuse_configured(users, name)
        _present(users.find(name))
        made = _hash(users.hash, stdin)
        users.change(name, lambda stored: replace(_present(stored).unlocked(), password=made))
        _note(context, "user_changed", name, "password")


@user.command()
@config_option
@click.argument("name")
def remove(path: Path | None, name: str) -> None:
    """Remove a user."""
    with _users(path) as (users, context):
        _refuse_configured(users, name)
        _present(users.find(name))
        users.remove(name)
        _note(context, "user_removed", name)


@user.command(name="hash")
@_stdin_option
def print_hash(stdin: bool) -> None:
    """Print the hash of a password, for a user that the config names."""
    settings = UserSettings()
    click.echo(_hash(Passwords(settings.memory_kib, settings.passes).hash, stdin))


@contextmanager
def _users(path: Path | None) -> Iterator[tuple[Users, Context]]:
    """Open the users of a config, with the options of its first section for `basic`."""
    with bench(path, "basic") as opened:
        settings = [one for one in opened.options if isinstance(one, UserSettings)]
        yield Users(opened.context, settings[0] if settings else UserSettings()), opened.context


def _hash(make: Callable[[str], str], stdin: bool) -> str:
    """Return the hash of the password that is given; it is never an argument of a command."""
    if stdin:
        password = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    try:
        return make(password)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _absent(stored: User) -> User:
    if stored.password:
        raise click.ClickException(f"user {stored.name} is there already")
    return stored


def _present(stored: User) -> User:
    if not stored.password:
        raise click.ClickException(f"no user {stored.name}")
    return stored


def _refuse_configured(users: Users, name: str) -> None:
    if name in users.configured:
        raise click.ClickException(f"user {name} is named in the config: change it there")


def _state(one: User, context: Context) -> str:
    return one.obstacle(context.now()) or "active"


def _note(context: Context, action: AuthAction, name: str, detail: str = "") -> None:
    context.note(AuthEntry(action, name, detail=detail))
