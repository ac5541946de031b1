"""What the claims of a verified token say of a principal."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tams_gateway.auth.principal import Principal, Scope
from tams_gateway.auth.provider import DeniedError

_SCOPES = {scope.value: scope for scope in Scope}


class ClaimNames(msgspec.Struct, frozen=True):
    """In which claims to look, in order: the first that a token has counts (B22)."""

    name: tuple[str, ...]
    scopes: tuple[str, ...]
    groups: tuple[str, ...]

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Return whom a token is for. Raises `DeniedError` where none of the claims names it."""
        name = _first(claims, self.name)
        if not isinstance(name, str) or not name:
            raise DeniedError(
                f"the token has none of the claims {', '.join(self.name)}", guess=False
            )
        return Principal(
            name,
            known_scopes(_words(_first(claims, self.scopes))),
            frozenset(_words(_first(claims, self.groups))),
        )


def known_scopes(words: Sequence[str]) -> frozenset[Scope]:
    """Return the scopes of this API among those of a token; others mean nothing here."""
    return frozenset(_SCOPES[word] for word in words if word in _SCOPES)


def scope_text(scopes: frozenset[Scope]) -> str:
    """Return scopes as OAuth writes them: words with spaces between, in a fixed order."""
    return " ".join(scope.value for scope in Scope if scope in scopes)


def _first(claims: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((claims[name] for name in names if name in claims), None)


def _words(value: object) -> Sequence[str]:
    """Return the words of a text, or the texts of a list."""
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
