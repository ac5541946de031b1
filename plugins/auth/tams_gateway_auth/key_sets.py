"""Sets of public keys, as JSON (RFC 7517), and which algorithms each key may verify."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tams_gateway_auth.verification import VerifyingKey

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

_ALGORITHMS: Final = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
}
"""What a key of a type and curve may verify. Shared secrets (`oct`) have no place in a key set."""

_SHORTEST_RSA: Final = 2048


class _Set(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


def parse(document: bytes) -> Sequence[VerifyingKey]:
    """Return the keys of a set that may verify; others, and those too weak, are left out.

    Raises `ValueError` for what is no key set, and for one without any key to verify with.
    """
    try:
        members = msgspec.json.decode(document, type=_Set).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"no JSON Web Key Set: {error}") from error
    found = [key for member in members for key in _keys(member)]
    if not found:
        raise ValueError("no key in the set can verify: expected RSA from 2048 bits, EC or Ed25519")
    return found


def _keys(member: dict[str, Any]) -> Iterator[VerifyingKey]:
    kind, curve = member.get("kty"), member.get("crv")
    if not isinstance(kind, str) or not isinstance(curve, str | None) or not _verifies(member):
        return
    algorithms = _ALGORITHMS.get((kind, curve), frozenset())
    if "alg" in member:
        algorithms &= {str(member["alg"])}
    if not algorithms:
        return
    public = {name: value for name, value in member.items() if name not in ("d", "alg")}
    try:
        key = jwt.PyJWK(public).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        # One key that is broken, or of a kind that came later, spoils none of the others.
        return
    if isinstance(key, RSAPublicKey) and key.key_size < _SHORTEST_RSA:
        return
    yield VerifyingKey(key, algorithms, member.get("kid"))


def _verifies(member: dict[str, Any]) -> bool:
    """Tell whether a key is meant for signatures, as it says or leaves open."""
    operations = member.get("key_ops", ["verify"])
    listed = isinstance(operations, list) and "verify" in operations
    return listed and member.get("use", "sig") == "sig"
