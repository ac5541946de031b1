"""What is noted of logins, failures and changes of credentials; no secret is ever in it."""

from typing import Literal, TypeAlias

import msgspec

AuthAction: TypeAlias = Literal[
    "login",
    "failure",
    "lock",
    "token_issued",
    "token_refreshed",
    "token_reused",
    "token_created",
    "token_revoked",
    "user_created",
    "user_changed",
    "user_removed",
    "keys_changed",
]


class AuthEntry(msgspec.Struct, frozen=True):
    """One entry: who did what, from which address, in which request.

    `who` is the name that was given, be it known or not. `peer` and `request_id` are empty for
    what the command line did.
    """

    action: AuthAction
    who: str
    peer: str = ""
    request_id: str = ""
    detail: str = ""
