"""What happened in one exchange: filled on its way, published once at its end.

Whoever wants to know (metrics, later events, logs and spans) subscribes to the published record.
"""


class ExchangeRecord:
    """The facts of one request and its answer. Moments are of the monotonic clock, in seconds.

    `status` is what the caller got, 0 when it got nothing; `code` names our own error, if it was
    one; `route` is a bounded label and never a raw path.
    """

    __slots__ = (
        "attempts",
        "code",
        "endpoint",
        "finished_at",
        "method",
        "request_bytes",
        "request_id",
        "response_bytes",
        "route",
        "server",
        "started_at",
        "status",
        "tool",
        "trace_id",
    )

    def __init__(self, started_at: float, method: bytes) -> None:
        self.started_at = started_at
        self.finished_at = started_at
        self.method = method
        self.route = ""
        self.server = ""
        self.tool = ""
        self.endpoint = ""
        self.status = 0
        self.code = ""
        self.attempts = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.trace_id = b""
        self.request_id = b""

    def __repr__(self) -> str:
        return f"<ExchangeRecord {self.route} {self.status} {self.code}>"

    @property
    def duration_s(self) -> float:
        return self.finished_at - self.started_at
