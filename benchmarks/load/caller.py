"""One caller: it makes one call at a time, over a line that it opens when it has none.

Knows bytes and moments. Knows nothing of rates, or of other callers.
"""

import asyncio
import time
from typing import Protocol, cast

from benchmarks.load.dial import Dialer, fault_of, reason_of
from benchmarks.load.figures import Fault
from benchmarks.load.request import Request
from benchmarks.load.wire import AnswerReader, MalformedAnswerError
from proxy.wire.head import ResponseHead


class Listener(Protocol):
    """Who is told what became of a caller's call."""

    def answered(self, caller: "Caller", due_ns: int, sent_ns: int, status: int) -> None:
        """Its call was answered, and it is free."""

    def failed(self, caller: "Caller", due_ns: int, fault: Fault, detail: str) -> None:
        """Its call was not answered, and it is free."""


class Caller:
    """A call is out while `due_ns` is not 0, and on the wire while `sent_ns` is not 0."""

    __slots__ = ("_dialer", "_dialing", "_line", "_listener", "_request", "due_ns", "sent_ns")

    def __init__(self, listener: Listener, dialer: Dialer, request: Request) -> None:
        self._listener = listener
        self._dialer = dialer
        self._request = request
        self._line: Line | None = None
        self._dialing: asyncio.Task[None] | None = None
        self.due_ns = 0
        self.sent_ns = 0

    def __repr__(self) -> str:
        state = "waiting" if self.sent_ns else "dialing" if self.due_ns else "free"
        return f"<Caller {state}>"

    def call(self, due_ns: int, now_ns: int) -> None:
        """Make a call that has been due since `due_ns`."""
        self.due_ns = due_ns
        line = self._line
        if line is None:
            self._dialing = asyncio.get_running_loop().create_task(self.dial())
        else:
            self.sent_ns = now_ns
            line.transport.write(self._request.octets)

    async def dial(self) -> None:
        """Open a line. A call that waits for it is sent, or has failed."""
        try:
            await self._dialer.open(self.new_line)
        except OSError as error:
            self._fail(fault_of(error), reason_of(error))

    def new_line(self) -> "Line":
        return Line(self, self._request.method)

    def give_up(self) -> None:
        """The answer has taken too long."""
        self.hang_up()
        self._fail(Fault.TIMEOUT, "no answer in time")

    def hang_up(self) -> None:
        """Close the line, whatever is on it."""
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        if self._line is not None:
            self._line.drop()
            self._line = None

    # --- for its line ---

    def opened(self, line: "Line") -> None:
        self._line = line
        self._dialing = None
        if self.due_ns:
            self.call(self.due_ns, time.monotonic_ns())

    def answered(self, head: ResponseHead) -> None:
        due_ns, sent_ns = self.due_ns, self.sent_ns
        self.due_ns = self.sent_ns = 0
        if not (sent_ns and head.keep_alive) or self._request.closes:
            self.hang_up()
        if sent_ns:
            self._listener.answered(self, due_ns, sent_ns, head.status)

    def lost(self, fault: Fault, detail: str) -> None:
        self._line = None
        self._fail(fault, detail)

    def _fail(self, fault: Fault, detail: str) -> None:
        due_ns = self.due_ns
        self.due_ns = self.sent_ns = 0
        if due_ns:
            self._listener.failed(self, due_ns, fault, detail)


class Line(asyncio.Protocol):
    """One connection, while a caller has it."""

    __slots__ = ("_caller", "_reader", "transport")

    def __init__(self, caller: Caller, method: bytes) -> None:
        self._caller: Caller | None = caller
        self._reader = AnswerReader(method)
        self.transport = cast("asyncio.Transport", None)

    def drop(self) -> None:
        """The caller has hung up: what comes now concerns nobody."""
        self._caller = None
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if self._caller is not None:
            self._caller.opened(self)

    def data_received(self, data: bytes) -> None:
        caller = self._caller
        if caller is None:
            return
        try:
            head = self._reader.take(data)
        except MalformedAnswerError as error:
            self.drop()
            caller.lost(Fault.MALFORMED, str(error))
            return
        if head is not None:
            caller.answered(head)

    def eof_received(self) -> None:
        """Known at once, so that no call is sent on it before `connection_lost` says so."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def _end(self, exc: Exception | None) -> None:
        caller = self._caller
        if caller is None:
            return
        self._caller = None
        head = self._reader.end() if exc is None else None
        if head is not None:
            caller.answered(head)
        elif exc is None:
            caller.lost(Fault.CLOSED, "the connection ended before the answer")
        else:
            caller.lost(Fault.RESET, str(exc))
