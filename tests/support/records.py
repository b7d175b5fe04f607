"""Records of exchanges that never were, for whoever reads records."""

from typing import Final

from proxy.telemetry.record import ExchangeRecord
from proxy.wire.forwarding import Caller
from proxy.wire.trace import Trace
from tests.support.heads import read_request
from tests.support.messages import post

TRACE_ID: Final = "0123456789abcdef0123456789abcdef"


def record(  # noqa: PLR0913 - each a fact of its own
    status: int = 200,
    code: str = "",
    *,
    duration_s: float = 0.02,
    server: str = "o",
    tool: str = "call",
    started_at: float = 5.0,
    trace_id: str = TRACE_ID,
    request: bytes | None = None,
) -> ExchangeRecord:
    """One call that is over."""
    head = read_request(request or post("/tools/o.call"))
    caller = Caller(b"127.0.0.1", b"http", b"1.1 toolproxy-test", trusted=False)
    context = b"traceparent: 00-%b-%b-01\r\n" % (TRACE_ID.encode(), b"0123456789abcdef")
    made = ExchangeRecord(
        started_at, head, caller, Trace(trace_id.encode(), b"request-1", b"", context)
    )
    made.route = "/tools/{tool}"
    made.server, made.tool = server, tool
    made.status, made.code = status, code
    made.finished_at = started_at + duration_s
    return made
