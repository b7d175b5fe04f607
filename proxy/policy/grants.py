"""Grants: who is it that calls, and what may they call and see?

Knows names of servers and tools as callers write them. Knows nothing of keys, tokens or where a
name leads.
"""

from collections.abc import Iterable
from typing import Final

from proxy.config.units import Rate

_NEVER: Final = float("inf")
_NO_FIELDS: Final[frozenset[bytes]] = frozenset()


class Visitor:
    """Somebody who was let in.

    `subject` is who calls: a person, or else the application (empty: nobody was asked who they
    are). `application` is the name of the API key. `spent` are the header fields whose credential
    let them in and that are not passed on. `expires_at` (seconds since 1970) is when their token
    does.
    """

    __slots__ = (
        "_all",
        "_prefixes",
        "_tools",
        "admin",
        "application",
        "expires_at",
        "rate",
        "spent",
        "subject",
        "teams",
    )

    def __init__(  # noqa: PLR0913 - a visitor is what is known of them
        self,
        subject: str = "",
        *,
        allow: Iterable[str] = ("*",),
        teams: Iterable[str] = (),
        admin: bool = False,
        application: str = "",
        rate: Rate | None = None,
        spent: frozenset[bytes] = _NO_FIELDS,
        expires_at: float = _NEVER,
    ) -> None:
        allowed = [each.encode() for each in allow]
        self.subject = subject
        self.application = application
        self.teams = frozenset(teams)
        self.admin = admin
        self.rate = rate
        self.spent = spent
        self.expires_at = expires_at
        self._all = b"*" in allowed
        self._prefixes = tuple([each[:-1] for each in allowed if each.endswith(b"*")])
        self._tools = frozenset(allowed)

    def __repr__(self) -> str:
        return f"<Visitor {self.subject or 'anybody'}>"

    def speaking_for(
        self, subject: str, teams: Iterable[str], expires_at: float = _NEVER
    ) -> "Visitor":
        """The application for somebody: the key says what they may call; the teams are theirs."""
        other = Visitor(
            subject,
            teams=teams,
            admin=self.admin,
            application=self.application,
            rate=self.rate,
            spent=self.spent,
            expires_at=expires_at,
        )
        other._all, other._prefixes, other._tools = self._all, self._prefixes, self._tools
        return other

    def may_call(self, tool: bytes) -> bool:
        """By the grants of their key; `tool` is `ns.tool`."""
        return self._all or tool in self._tools or tool.startswith(self._prefixes)

    def may_pass(self, namespace: bytes) -> bool:
        """Is the whole server theirs, as a passthrough needs?"""
        return self.may_call(namespace + b".")

    def may_see(self, namespace: bytes) -> bool:
        """May they call anything at all of this server?"""
        start = namespace + b"."
        return self.may_call(start) or any(
            each.startswith(start) for each in (*self._tools, *self._prefixes)
        )

    def belongs(self, teams: Iterable[str]) -> bool:
        """Is the server theirs? It is everybody's when it names no teams."""
        wanted = tuple(teams)
        return not wanted or not self.teams.isdisjoint(wanted)


# When nobody is asked who they are, everything is everybody's.
ANYBODY: Final = Visitor(admin=True)
# Who has not said who they are, where others are asked.
NOBODY: Final = Visitor(allow=())
