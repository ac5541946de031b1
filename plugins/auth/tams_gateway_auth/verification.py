"""Signatures and times of JSON web tokens: what a key may verify, and what a token must hold."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import jwt
import msgspec
from jwt.utils import base64url_encode

from tams_gateway.auth.provider import DeniedError

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

Algorithm: TypeAlias = Literal[
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
"""What signs tokens; `none` is not among them."""

LONGEST: Final = 16384
"""The longest token that is looked at, in characters."""


class VerifyingKey(msgspec.Struct, frozen=True):
    """A key and the algorithms that its type allows: none that a token asks for adds to them.

    So no public key is ever taken for a shared secret.
    """

    key: "AllowedPublicKeys | bytes"
    algorithms: frozenset[str]
    id: str | None = None


class Unverified(msgspec.Struct, frozen=True):
    """What a token says of itself, by which the keys for it are found."""

    token: str
    algorithm: str
    key_id: str | None
    issuer: object


class Rules(msgspec.Struct, frozen=True):
    """What a token must say; the audience is looked at only if one is expected (B22)."""

    issuer: str | None = None
    audience: str | None = None
    leeway: int = 0
    """How far the clocks of issuer and gateway may differ, in seconds."""


def read(token: str) -> Unverified:
    """Return what a token says of itself, before anything is known of it. Raises `DeniedError`."""
    if len(token) > LONGEST:
        raise DeniedError(f"the token is longer than {LONGEST} characters")
    try:
        found = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise DeniedError("the token is malformed") from error
    # Decoders skip what does not belong into base64, so that many texts would be one token.
    if base64url_encode(found["signature"]).decode() != token.rpartition(".")[2]:
        raise DeniedError("the token is malformed")
    header = found["header"]
    return Unverified(token, str(header.get("alg")), header.get("kid"), found["payload"].get("iss"))


def verify(unverified: Unverified, keys: Sequence[VerifyingKey], rules: Rules) -> dict[str, Any]:
    """Return the claims of a token that one of the keys signed. Raises `DeniedError`."""
    fitting = [key for key in keys if unverified.algorithm in key.algorithms]
    for key in fitting:
        try:
            return _decoded(unverified, key, rules)
        except jwt.InvalidSignatureError:
            continue
        except tuple(_REASONS) as error:
            # The signature is right: that was nobody who tries tokens out.
            reason = next(text for kind, text in _REASONS.items() if isinstance(error, kind))
            raise DeniedError(reason, guess=False) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise DeniedError("the token is malformed") from error
    raise DeniedError("no known key signed the token")


def _decoded(unverified: Unverified, key: VerifyingKey, rules: Rules) -> dict[str, Any]:
    return jwt.decode(
        unverified.token,
        key.key,
        algorithms=[unverified.algorithm],
        issuer=rules.issuer,
        audience=rules.audience,
        leeway=rules.leeway,
        options={
            "require": ["exp"],
            "verify_aud": rules.audience is not None,
            # A subject that is no text is nobody's name, which is seen where names are read.
            "verify_sub": False,
            "verify_jti": False,
        },
    )


_REASONS: Final[Mapping[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidIssuerError: "the token is of another issuer",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.MissingRequiredClaimError: "the token lacks a claim that it must have",
}
"""What is said of a claim that is wrong: not a word of the token, which is whoever's."""
