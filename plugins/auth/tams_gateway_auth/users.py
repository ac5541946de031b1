"""Users: who they are, whether a password is theirs, and how wrong ones lock them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Final, TypeAlias

import msgspec

from tams_gateway.auth.journal import AuthAction, AuthEntry
from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import DeniedError
from tams_gateway.plugin import Context, Secret
from tams_gateway.storage.changes import ABSENT, Delete, Put
from tams_gateway.storage.errors import ConflictError, StoreError
from tams_gateway.storage.records import Kind
from tams_gateway_auth import records
from tams_gateway_auth.passwords import Passwords, is_hash

USERS: Final = Kind("users", {})
"""Users by name. What has no password is no user: it keeps the lock of one of the config, or, under
the name `""`, counts the failures of those who do not exist."""

_TRIES: Final = 100
_LONGEST: Final = 200

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class Lock(msgspec.Struct, frozen=True):
    """Failed logins in a row, and until when nobody gets in, in seconds since 1970."""

    failures: int = 0
    until: float = 0.0


class User(msgspec.Struct, frozen=True):
    """A user; `password` is a hash of argon2id, `created` seconds since 1970."""

    name: str
    password: str = ""
    scopes: frozenset[Scope] = frozenset()
    groups: frozenset[str] = frozenset()
    suspended: bool = False
    created: int = 0
    lock: Lock = Lock()

    @property
    def principal(self) -> Principal:
        """Whom requests of this user are for."""
        return Principal(self.name, self.scopes, self.groups)

    def unlocked(self) -> "User":
        """Return the user without failed logins."""
        return msgspec.structs.replace(self, lock=Lock())

    def obstacle(self, now: float) -> str | None:
        """Return what keeps the user out, whatever the password; None where nothing does."""
        if not self.password:
            return "unknown"
        if self.suspended:
            return "suspended"
        return "locked" if now < self.lock.until else None


class ConfiguredUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user of the config; `password` is a hash, as `tams-gateway user hash` makes it."""

    password: Secret
    scopes: tuple[Scope, ...] = (Scope.READ,)
    groups: tuple[str, ...] = ()


class UserSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be said of users and their logins."""

    users: Mapping[str, ConfiguredUser] = {}
    """Users by name, beside those of the metadata store; these here win."""
    lock_after: Positive = 5
    """Failed logins in a row that lock a user."""
    lock_for: Annotated[int, msgspec.Meta(ge=0)] = 900
    """How long, in seconds; 0: not at all."""
    memory_kib: Annotated[int, msgspec.Meta(ge=32, le=4_194_304)] = 65_536
    """Memory of a verification of argon2id, in KiB."""
    passes: Positive = 3
    """Passes of a verification over that memory."""
    parallel: Positive = 4
    """Verifications at a time in each process; others wait."""

    def __post_init__(self) -> None:
        """Check names and hashes. Raises ValueError."""
        for name, user in self.users.items():
            try:
                check_name(name)
            except ValueError as error:
                raise ValueError(f"users: {error}") from error
            if not is_hash(user.password.value):
                reason = "expected a hash of `tams-gateway user hash` as password"
                raise ValueError(f"users: {name}: {reason}")


def check_name(name: str) -> str:
    """Return the name of a user. Raises ValueError for one that no Basic header can carry."""
    if not 0 < len(name) <= _LONGEST or ":" in name or not name.isprintable():
        raise ValueError(f"expected a name without colons, got {name[:_LONGEST]!r}")
    return name


class _Login(msgspec.Struct, frozen=True):
    """An attempt, for the log of logins."""

    name: str
    peer: str
    request_id: str

    def entry(self, action: AuthAction, detail: str = "") -> AuthEntry:
        return AuthEntry(action, self.name[:_LONGEST], self.peer, self.request_id, detail)


_decode = msgspec.json.Decoder(User).decode


class Users:
    """The users of the metadata store and of the config; called by many threads at once."""

    def __init__(self, context: Context, settings: UserSettings) -> None:
        self._context = context
        self._store = records.store(context)
        self._settings = settings
        self._passwords = Passwords(settings.memory_kib, settings.passes, settings.parallel)
        self.configured: Mapping[str, User] = {
            name: User(name, user.password.value, frozenset(user.scopes), frozenset(user.groups))
            for name, user in settings.users.items()
        }

    def verify(self, name: str, password: str, peer: str, request_id: str) -> Principal:
        """Return whom name and password belong to.

        Raises `DeniedError`, which says the same and comes as late for whatever is wrong: the
        name, the password, or that the user is locked or suspended; and `StoreError`.
        """
        user = self.find(name)
        # A right password of who is kept out anyway is not looked for: it would be found faster.
        hash_ = "" if user.obstacle(self._context.now()) else user.password
        if not user.lock.failures and self._passwords.remembers(password, hash_):
            return user.principal
        right = self._passwords.verify(password, hash_)
        # Read again: of many who guess at once, those behind the last failure meet the lock.
        latest = self.find(name)
        obstacle = latest.obstacle(self._context.now())
        login = _Login(name, peer, request_id)
        if not right or latest.password != hash_ or obstacle is not None:
            self._fail(login, latest, obstacle or "wrong password")
            raise DeniedError("wrong name or password", noted=True)
        if latest.lock != Lock():
            self.change(
                name, lambda stored: stored.unlocked() if stored.lock == latest.lock else stored
            )
        self._context.note(login.entry("login"))
        return latest.principal

    def find(self, name: str) -> User:
        """Return the user as it is now, one without a password where there is none.

        Raises `StoreError`.
        """
        stored, _ = self._read(name)
        configured = self.configured.get(name)
        if configured is None:
            return stored
        return msgspec.structs.replace(configured, lock=stored.lock)

    def every(self) -> Iterator[User]:
        """Go through all users, those of the config first. Raises `StoreError`."""
        for name in self.configured:
            yield self.find(name)
        for record in records.every(self._store, USERS):
            user = _decode(record.body)
            if user.password and user.name not in self.configured:
                yield user

    def hash(self, password: str) -> str:
        """Return a new hash of a password. Raises ValueError for one that is empty or too long."""
        return self._passwords.hash(password)

    def change(self, name: str, change: Callable[[User], User]) -> User:
        """Replace what is stored under a name, and return that. Raises `StoreError`.

        `change` gets what is there, also if that is nobody, and is called again where another
        writer was faster. What it raises ends it.
        """
        for _ in range(_TRIES):
            stored, version = self._read(name)
            changed = change(stored)
            body = msgspec.json.encode(changed)
            try:
                self._store.apply([Put(USERS, name, body, expect=version)])
            except ConflictError:
                continue
            return changed
        raise StoreError(f"users: too many writers of {name!r} at once")

    def remove(self, name: str) -> None:
        """Remove the user of the metadata store of that name. Raises `StoreError`."""
        self._store.apply([Delete(USERS, name)])

    def _read(self, name: str) -> tuple[User, int]:
        """Return what is stored under a name, and its version."""
        record = self._store.get(USERS, [name]).get(name)
        return (User(name), ABSENT) if record is None else (_decode(record.body), record.version)

    def _fail(self, login: _Login, user: User, reason: str) -> None:
        """Count and note a failed login; for a name that is nobody's at the same cost."""
        until = self._context.now() + self._settings.lock_for

        def count(stored: User) -> User:
            return msgspec.structs.replace(stored, lock=self._after_failure(stored.lock, until))

        counted = self.change(user.name if user.password else "", count)
        self._context.note(login.entry("failure", reason))
        if user.password and counted.lock.until == until:
            self._context.note(login.entry("lock", f"for {self._settings.lock_for} s"))

    def _after_failure(self, lock: Lock, until: float) -> Lock:
        """Return the lock after one more failure; a closed one stays as it is."""
        if until - self._settings.lock_for < lock.until:
            return lock
        if lock.failures + 1 < self._settings.lock_after:
            return Lock(lock.failures + 1)
        return Lock(until=until)
