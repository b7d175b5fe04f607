"""The answer fuzzer: an upstream that says odd things, and callers who must not be fooled.

Each call has a number of its own, in its target and in what the upstream says to it. The plain call
behind an odd one must get the plain answer.
"""

import asyncio
import itertools
import socket
import struct
from collections import Counter
from typing import Final, cast

from tests.support.fuzz_calls import METHODS, REPEATABLE, Call
from tests.support.fuzz_finds import Finds
from tests.support.fuzz_messages import seeded
from tests.support.fuzz_reading import Answer, Odd, read_answer, read_request
from tests.support.fuzz_scripts import Ending, Script, Scripts
from tests.support.messages import ok

_PATIENCE_S: Final = 30.0
_PIPELINED: Final = 0.3
_RESET: Final = struct.pack("ii", 1, 0)


class Upstream(asyncio.Protocol):
    """Plays to each request the script of its number."""

    def __init__(self, scripts: dict[int, Script]) -> None:
        self._scripts = scripts
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        request, after = read_request(self._unread)
        if request is None or not request.complete:
            return
        self._unread = self._unread[after:]
        if request.target.endswith(b"/health"):
            self._transport.write(ok())
            return
        script = self._scripts[int(request.target.partition(b"?n=")[2])]
        self._transport.writelines(script.pieces[:1])
        asyncio.get_running_loop().call_soon(self._go_on, script)

    def _go_on(self, script: Script) -> None:
        if self._transport.is_closing():
            return
        self._transport.writelines(script.pieces[1:])
        if script.ending is Ending.RESETS:
            plain = self._transport.get_extra_info("socket")
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if script.ending is not Ending.STAYS:
            self._transport.close()


class _Connection(asyncio.Protocol):
    """A caller's connection to the sidecar."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.heard = b""
        self._ended = False
        self._was_reset = False
        self._more = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._was_reset = True, exc is not None
        self._more.set()

    async def answer_to(self, call: Call) -> tuple[list[Answer], Answer | None]:
        """The interim answers and the final one, which may be incomplete; none if nothing came."""
        interim: list[Answer] = []
        while True:
            ended = self._ended
            answer, position = read_answer(
                self.heard, 0, bodiless=call.bodiless, ended=ended and not self._was_reset
            )
            if answer is not None and answer.complete:
                self.heard = self.heard[position:]
                if answer.status >= 200:
                    return interim, answer
                interim.append(answer)
            elif ended:
                if answer is None and self.heard:
                    raise Odd(f"a head that breaks off: {self.heard!r}")
                return interim, answer
            else:
                self._more.clear()
                await self._more.wait()


class AnswerCallers:
    """Call a sidecar on many connections: an odd answer, then a plain one, and so on."""

    def __init__(self, seed: int) -> None:
        self.calls = 0
        self.statuses: Counter[str] = Counter()
        self.finds = Finds()
        self.port = 0
        self._sidecar_port = 0
        self._scripts: dict[int, Script] = {}
        self._numbers = itertools.count(1)
        self._chance = seeded(seed)
        self._maker = Scripts(self._chance)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.finds.watch_loop()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Upstream(self._scripts), "127.0.0.1", 0, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server:
            self._server.close()

    async def call(self, sidecar_port: int, calls: int, *, at_once: int = 48) -> None:
        """Make so many calls; what is wrong with them is in `finds`."""
        self._sidecar_port = sidecar_port
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._call_until(calls))

    async def _call_until(self, calls: int) -> None:
        while self.calls < calls and not self.finds.enough:
            left = self._next_calls()
            while left:
                left = left[await self._hold(left) :]

    async def _hold(self, calls: list[Call]) -> int:
        """Make these calls on one connection, as far as it goes; how many were answered."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._sidecar_port)
        try:
            pipelined = self._chance.random() < _PIPELINED
            if pipelined:
                connection.transport.write(b"".join(call.octets for call in calls))
            for made, call in enumerate(calls, 1):
                if not pipelined:
                    connection.transport.write(call.octets)
                if not await self._hear(connection, call):
                    return made
            if connection.heard:
                self._find(f"more than was asked for: {connection.heard!r}", calls[-1])
            return len(calls)
        finally:
            connection.transport.abort()

    async def _hear(self, connection: _Connection, call: Call) -> bool:
        """Judge what comes; whether the connection can go on."""
        self.calls += 1
        try:
            async with asyncio.timeout(_PATIENCE_S):
                interim, got = await connection.answer_to(call)
            call.judge(interim, got)
        except (Odd, TimeoutError) as odd:
            self._find(repr(odd), call)
            return False
        if got is None or not got.complete:
            self.statuses["broken off"] += 1
            return False
        self.statuses[str(got.status)] += 1
        return not got.closes

    def _next_calls(self) -> list[Call]:
        """Odd and plain in turn."""
        calls: list[Call] = []
        for _ in range(self._chance.choice((1, 2, 4))):
            method, number = self._chance.choice(METHODS), next(self._numbers)
            script = self._maker.odd(number, bodiless=method == b"HEAD")
            calls.append(Call(method, number, script))
            method, number = self._chance.choice(REPEATABLE), next(self._numbers)
            calls.append(
                Call(method, number, self._maker.plain(number, bodiless=method == b"HEAD"))
            )
        self._scripts.update((call.number, call.script) for call in calls)
        return calls

    def _find(self, what: str, call: Call) -> None:
        self.finds.add(f"{what}\n  said to {call.method!r}: {call.script!r}")
