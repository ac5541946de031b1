"""When an event that failed is sent again, and when a webhook is given up."""

import random

import msgspec

from tams_gateway_events.http import Answer
from tams_gateway_events.state import State

_LONGEST_WISH = 3600.0
"""The longest `Retry-After` that is honoured, in seconds."""


class Retries(msgspec.Struct, frozen=True):
    """Pauses grow from `first` to `longest`; `give_up_after` is how long. All in seconds."""

    first: float
    longest: float
    give_up_after: float

    def failed(self, state: State, answer: Answer, now: float) -> State:
        """Return the state after a failed attempt."""
        grown: float = min(self.first * 2.0 ** min(state.attempts, 60), self.longest)
        # Webhooks that failed together are not to come back together.
        pause = random.uniform(grown / 2, grown)
        if answer.retry_after is not None:
            pause = max(pause, min(answer.retry_after, _LONGEST_WISH))
        return msgspec.structs.replace(
            state,
            failing_since=now if state.failing_since is None else state.failing_since,
            attempts=state.attempts + 1,
            next_at=now + pause,
            failure=answer.text,
        )

    def hopeless(self, state: State, now: float) -> bool:
        """Whether the webhook has failed for so long that it is given up (R-WHK-24)."""
        return state.failing_since is not None and now - state.failing_since >= self.give_up_after


def recovered(state: State) -> State:
    """Return the state after a success, or when somebody has changed the webhook."""
    if not state.attempts:
        return state
    return msgspec.structs.replace(state, failing_since=None, attempts=0, next_at=0.0, failure="")
