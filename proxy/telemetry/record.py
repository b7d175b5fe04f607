"""What happened in one exchange: filled on its way, published once at its end.

Whoever wants to know (metrics, events, access log, spans) subscribes to the published record.
"""

from time import gmtime, monotonic, strftime, time  # noqa: TID251 - what is written down has a date
from typing import Final, NamedTuple

from proxy.wire.forwarding import Caller
from proxy.wire.head import RequestHead
from proxy.wire.trace import Trace

_FAILING: Final = 400  # from this status on, somebody has to be told why
_OF_THE_SERVER: Final = 500


class Attempt(NamedTuple):
    """One try that failed and was followed by another; `code` is its error's."""

    endpoint: str
    sent_at: float  # nought: it never was
    failed_at: float
    code: str


class ExchangeRecord:
    """The facts of one request and its answer. Moments are of the monotonic clock, in seconds.

    `status` is what the caller got, 0 when it got nothing; `code` and `detail` are our own error's,
    if it was one; `route` is a bounded label and never a raw path.
    """

    # On the class: what is set on the way, if the call comes that far.
    sent_at: float = 0.0  # to an upstream, the last time
    answered_at: float = 0.0  # by it
    finished_at: float = 0.0
    route: str = ""
    server: str = ""
    tool: str = ""
    asked: tuple[bytes, bytes] = (b"", b"")  # of the upstream: method, and path below its address
    endpoint: str = ""
    status: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    flag: str = ""  # why it went wrong, as Envoy's response flags say it
    detail: str = ""
    subject: str = ""  # who called, where they are asked
    reason: str = ""  # why they were not let in
    retries: tuple[str, ...] = ()  # what each further attempt was made for
    failed: tuple[Attempt, ...] = ()  # the attempts before the last

    def __init__(self, started_at: float, head: RequestHead, caller: Caller, trace: Trace) -> None:
        self.started_at = started_at
        self.head = head
        self.caller = caller
        self.trace = trace
        self.attempts = 0
        self.code = ""

    def __repr__(self) -> str:
        return f"<ExchangeRecord {self.route} {self.status} {self.code}>"

    @property
    def upstream_s(self) -> float:
        """What the upstream took for the head of its answer; nought when there was none."""
        return max(self.answered_at - self.sent_at, 0.0)

    @property
    def duration_s(self) -> float:
        return self.finished_at - self.started_at

    @property
    def outcome(self) -> str:
        """One word for how it went: our own error's code, or the class of the upstream's status."""
        if self.code:
            return self.code
        if not self.status or self.flag == "DC":
            return "caller_left"
        if self.status < _FAILING:
            return "success"
        return "client_error" if self.status < _OF_THE_SERVER else "server_error"


class Calendar:
    """The wall clock, written: RFC 3339 in UTC. A second is written once."""

    def __init__(self) -> None:
        self._second = -1
        self._millisecond = -1
        self._to_the_second = b""
        self._written = b""

    @property
    def began_at(self) -> float:
        """The moment at which the monotonic clock stood at nought, in seconds since 1970."""
        return time() - monotonic()

    @property
    def second(self) -> int:
        """Since 1970."""
        return int(time())

    def now(self) -> bytes:
        """As in `2026-01-01T12:00:00.123Z`."""
        at = time()
        second = int(at)
        millisecond = int((at - second) * 1000)
        if second != self._second:
            self._second = second
            self._to_the_second = strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second)).encode()
        elif millisecond == self._millisecond:
            return self._written
        self._millisecond = millisecond
        self._written = b"%b%03dZ" % (self._to_the_second, millisecond)
        return self._written
