"""A secret that a gateway shares with whoever signs its tokens."""

import re
from typing import Final

from tams_gateway_auth.verification import VerifyingKey

_NEEDED: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The bytes that a secret must have for each algorithm (RFC 7518, 3.2)."""

_LEAST_DIFFERENT: Final = 10
"""How many different bytes a secret holds at least: a random one of 32 has some 30."""

_WORDS: Final = (
    "default|secret|change|me|password|please|test|example|jwt|key|your|a|my|the|this|is"
    "|to|in|production|super|very|long|string|valid|that|at|least|bits?|bytes?|hs|which|some"
    "|random|replace|token|signing|dev|development|insecure|not|safe|and|for|with|use|do"
)
"""What sample secrets are made of, as in `your-256-bit-secret`."""


def key_of(secret: str) -> VerifyingKey:
    """Return the key of a secret, for the algorithms that it is long enough for.

    Raises ValueError, naming the option, for one that is too short or can be guessed.
    """
    key = secret.encode()
    algorithms = frozenset(name for name, size in _NEEDED.items() if len(key) >= size)
    if not algorithms:
        raise ValueError(f"secret: expected at least {min(_NEEDED.values())} bytes")
    plain = re.sub(r"[\W\d_]+", "", secret.lower())
    if len(set(key)) < _LEAST_DIFFERENT or re.fullmatch(f"(?:{_WORDS})*", plain):
        raise ValueError("secret: expected random text, such as of `openssl rand -base64 48`")
    return VerifyingKey(key, algorithms)
