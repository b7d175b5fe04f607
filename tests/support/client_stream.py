"""An event stream that a test cuts where it likes; it replays like the real one."""

import itertools
from collections.abc import Sequence

from aiohttp import web


class Stream:
    """Messages 1 to `count`; each connection gives as many as `cuts` says, and breaks off.

    Every second one breaks off within a message. After the last cut the rest comes, then 204.
    """

    def __init__(self, count: int, cuts: Sequence[int] = ()) -> None:
        self.count = count
        self.last_ids: list[str | None] = []
        self._cuts = iter(cuts)
        self._turns = itertools.count()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        last_id = request.headers.get("Last-Event-ID")
        self.last_ids.append(last_id)
        first = int(last_id or 0) + 1
        if first > self.count:
            return web.Response(status=204)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": ka\n")
        some = next(self._cuts, None)
        last = self.count if some is None else min(self.count, first + some - 1)
        for number in range(first, last + 1):
            await response.write(message(number))
        if some is None:
            await response.write_eof()
        else:
            await self._break_off(request, response, last + 1)
        return response

    async def _break_off(
        self, request: web.Request, response: web.StreamResponse, following: int
    ) -> None:
        if next(self._turns) % 2:
            await response.write(message(following)[:-2])
        assert request.transport is not None
        request.transport.close()  # what was written goes out


def message(number: int, kind: str = "tool_invoked") -> bytes:
    return b'event: %b\nid: %d\ndata: {"n":%d}\n\n' % (kind.encode(), number, number)
