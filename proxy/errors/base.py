"""What an error of ours is: facts, by which everybody decides who handles one.

An error carries facts: status, code, blame, whether the same call may be sent again, and its name
in RFC 9209 (`Proxy-Status`). Who handles one reads the facts and never lists types. Knows nothing
of sockets, and nothing of how an error is written down.
"""

from enum import Enum
from typing import ClassVar


class Blame(Enum):
    """Whose fault it was: decides what counts against an upstream."""

    CALLER = "caller"
    UPSTREAM = "upstream"
    SIDECAR = "sidecar"


class ProxyError(Exception):
    """A call that the sidecar answers in its own name.

    `detail` is one sentence for a person: why, and what to do. `retry_after_s` becomes
    `Retry-After`. Status, code and wording of each class are the error table of the HTTP contract.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    blame: ClassVar[Blame] = Blame.CALLER
    retryable: ClassVar[bool] = False
    proxy_status: ClassVar[str] = "http_request_error"
    flag: ClassVar[str] = ""  # Envoy's response flag, for logs
    # Facts that decide whether a failed attempt may be repeated, and what it proves.
    nothing_sent: ClassVar[bool] = False
    connection_lost: ClassVar[bool] = False
    by_clock: ClassVar[bool] = False  # nothing happened: if our own loop was late, perhaps it did
    # After these nobody knows where the next request would begin, or nobody should wait for it.
    closes: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        reason: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.headers = headers
        self.reason = reason  # for the log, where it is nobody else's business
