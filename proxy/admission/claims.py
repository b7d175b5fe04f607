"""What a token is known to say, and that one is not believed."""

from typing import NamedTuple


class Claims(NamedTuple):
    """Who somebody is, by a token that is believed until `expires_at` (seconds since 1970)."""

    subject: str
    teams: frozenset[str]
    expires_at: float


class RefusedTokenError(Exception):
    """A token that is not believed; `reason` is a sentence for the log, with none of the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
