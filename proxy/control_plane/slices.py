"""Long lists in answers: encoded a slice at a time, so that a large registry never stalls calls."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from aiohttp import web

SLICE: Final = 500  # rows encoded at a time: about a millisecond

ItemT = TypeVar("ItemT")


async def answer_list(
    request: web.Request,
    start: bytes,
    items: Sequence[ItemT],
    row: Callable[[ItemT], bytes],
    slice_rows: int = SLICE,
) -> web.StreamResponse:
    """A JSON document that is `start`, the rows with commas between, and `]}`."""
    if len(items) <= slice_rows:
        body = start + b",".join([row(item) for item in items]) + b"]}"
        return web.Response(body=body, content_type="application/json")
    response = web.StreamResponse()
    response.content_type = "application/json"
    return await answer_pieces(request, response, _pieces(start, items, row, slice_rows))


async def answer_pieces(
    request: web.Request, response: web.StreamResponse, pieces: Iterator[bytes]
) -> web.StreamResponse:
    """A long answer, made while it is sent; others have their turn between two pieces."""
    await response.prepare(request)
    if request.method != "HEAD":  # aiohttp would send a body to it
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
    await response.write_eof()
    return response


def _pieces(
    start: bytes, items: Sequence[ItemT], row: Callable[[ItemT], bytes], slice_rows: int
) -> Iterator[bytes]:
    yield start
    for first in range(0, len(items), slice_rows):
        rows = [row(item) for item in items[first : first + slice_rows]]
        yield (b"," if first else b"") + b",".join(rows)
    yield b"]}"
