"""Every way in which a call of the client can fail, and what is known of it.

An error carries facts, and `str()` of it is one sentence. Who handles one reads the facts; who
catches one may use the built-in classes of the same names. Knows nothing of HTTP libraries.
"""

import builtins
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an answer said of a failure (RFC 9457 where the gateway made it).

    `code` is the gateway's own word for it (`circuit_open`); a tool's own answer has none.
    `body` is what a tool answered, decoded by its content type.
    """

    status: int | None = None
    code: str | int | None = None
    trace_id: str | None = None
    retry_after_s: float | None = None
    retryable: bool = False
    body: object = None


_NOTHING = Facts()
_FIRST_SERVER_ERROR = 500
_WITH_RETRY_AFTER = (429, 503)


class GatewayError(Exception):
    """A call that failed; the base of all others.

    `detail` says in one sentence what failed and why. `status`, `code`, `trace_id`,
    `retry_after_s` (seconds), `retryable` and `body` are as in `Facts`.
    """

    nothing_sent: ClassVar[bool] = False  # so any call may be repeated
    connection_lost: ClassVar[bool] = False  # after sending: nobody knows what was done
    answer_began: ClassVar[bool] = False
    timed_out: ClassVar[bool] = False

    def __init__(self, detail: str, facts: Facts = _NOTHING) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts
        self.status = facts.status
        self.code = facts.code
        self.trace_id = facts.trace_id
        self.retry_after_s = facts.retry_after_s
        self.retryable = facts.retryable
        self.body = facts.body

    @property
    def outage(self) -> bool:
        """Does it prove that a server, or the way to it, is not working?"""
        broken = self.nothing_sent or self.connection_lost or self.timed_out
        return broken or (self.status or 0) >= _FIRST_SERVER_ERROR

    @property
    def invites(self) -> bool:
        """Does the gateway itself say that the same call may be sent again?"""
        told_when = self.retry_after_s is not None or self.status not in _WITH_RETRY_AFTER
        return self.retryable and self.status is not None and told_when


class AuthenticationError(GatewayError):
    """401: no API key or token, or one that does not hold."""


class PermissionError(GatewayError, builtins.PermissionError):  # noqa: A001 - the guide's name
    """403, or a policy's denial: this caller may not do this."""


class NotFoundError(GatewayError):
    """404: there is no such server, tool or trace."""


class TimeoutError(GatewayError, builtins.TimeoutError):  # noqa: A001 - the guide's name
    """The call did not end in its time, by this client's clock or by the gateway's (504)."""

    timed_out = True


class ConnectError(GatewayError, builtins.ConnectionError):
    """There was no connection, so nothing was sent."""

    nothing_sent = True


class ConnectionLostError(GatewayError, builtins.ConnectionError):
    """The connection broke before an answer came: the call may have been made, or not."""

    connection_lost = True


class AnswerLostError(ConnectionLostError):
    """The connection broke within the answer: the call was made."""

    answer_began = True


class CircuitBreakerError(GatewayError):
    """The circuit of this server is open, in this client or in the gateway: nothing was called."""


class RetryExhaustedError(GatewayError):
    """The call failed, and no more attempts are allowed: the last one's error is `last`.

    It is the `__cause__`, too. One attempt is all there is for what may not be made twice.
    """

    def __init__(self, last: GatewayError, attempts: int) -> None:
        said = last.detail if attempts == 1 else f"Tried {attempts} times; at last: {last.detail}"
        super().__init__(said, last.facts)
        self.last = last
        self.attempts = attempts

    @property
    def outage(self) -> bool:
        """As the last failure proved."""
        return self.last.outage


class ClientClosedError(GatewayError):
    """The client was closed before."""


class TransportModeError(GatewayError):
    """The client's `TransportMode` does not include what was asked of it."""


class LocalServerError(GatewayError):
    """A local server did not start, has ended, or broke the protocol."""


class RpcError(GatewayError):
    """A local server answered with a JSON-RPC error: `code`, `detail`; its data is in `body`."""
