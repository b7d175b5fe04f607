"""The upstream of WebSockets: says what it hears. `… PORT HOST …`.

Answers each message with one of its length (the text is agreed), and other requests with 200.
"""

import asyncio
import sys
from typing import Final, cast

import uvloop

from benchmarks.dropin import frames
from proxy.descriptors import raise_limit

_BACKLOG: Final = 1024
_HERE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Echo(asyncio.Protocol):
    """One connection."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._heard = b""
        self._open = False  # is it a WebSocket by now?

    def __repr__(self) -> str:
        return f"<Echo {'open' if self._open else 'new'}, {len(self._heard)} bytes kept>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's, which is none by type

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if not self._open and frames.END_OF_HEAD in self._heard:
            self._begin()
        while self._open and (sizes := frames.sizes(self._heard)):
            size, payload_bytes = sizes
            if len(self._heard) < size:
                return
            frame, self._heard = self._heard[:size], self._heard[size:]
            self._answer(frame, payload_bytes)

    def _begin(self) -> None:
        head, _, self._heard = self._heard.partition(frames.END_OF_HEAD)
        answer = frames.switched(head)
        self._open = answer is not None
        self._transport.write(answer or _HERE)

    def _answer(self, frame: bytes, payload_bytes: int) -> None:
        if frames.opcode(frame) == frames.CLOSE:
            self._transport.write(frames.close(masked=False))
            self._transport.close()
        else:
            self._transport.write(frames.message(payload_bytes, masked=False))


async def _serve(port: int, hosts: list[str]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, hosts, port, backlog=_BACKLOG)
    await server.serve_forever()


def main() -> None:
    raise_limit()
    port, *hosts = sys.argv[1:]
    uvloop.run(_serve(int(port), hosts))


if __name__ == "__main__":
    main()
