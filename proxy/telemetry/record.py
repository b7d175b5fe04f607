"""What happened in one exchange: filled on its way, published once at its end.

Whoever wants to know (metrics, later events, logs and spans) subscribes to the published record.
"""


class ExchangeRecord:
    """The facts of one request and its answer. Moments are of the monotonic clock, in seconds.

    `status` is what the caller got, 0 when it got nothing; `code` names our own error, if it was
    one; `route` is a bounded label and never a raw path.
    """

    # On the class: what is set on the way, if the call comes that far.
    sent_at: float = 0.0  # to an upstream, the last time
    answered_at: float = 0.0  # by it
    finished_at: float = 0.0
    route: str = ""
    server: str = ""
    tool: str = ""
    endpoint: str = ""
    status: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    flag: str = ""  # why it went wrong, as Envoy's response flags say it
    retries: tuple[str, ...] = ()  # what each further attempt was made for
    trace_id: bytes = b""
    request_id: bytes = b""

    def __init__(self, started_at: float, method: bytes) -> None:
        self.started_at = started_at
        self.method = method
        self.attempts = 0
        self.code = ""

    def __repr__(self) -> str:
        return f"<ExchangeRecord {self.route} {self.status} {self.code}>"

    @property
    def upstream_s(self) -> float:
        """What the upstream took for the head of its answer."""
        return self.answered_at - self.sent_at

    @property
    def duration_s(self) -> float:
        return self.finished_at - self.started_at
