"""Facts about long lists in answers: whole, valid, and encoded a slice at a time."""

import asyncio
from collections.abc import Callable

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler

from proxy.control_plane.slices import answer_list

START = b'{"count":9,"items":['


def encoded(item: int) -> bytes:
    return b'{"n":%d}' % item


async def answer_of(handler: Handler) -> tuple[bytes, str, str | None]:
    """Body, type and length of what a real server makes of the answer."""
    app = web.Application()
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app)) as client, client.get("/") as answer:
        body = await answer.read()
        return body, answer.content_type, answer.headers.get("Content-Length")


def listing(items: int, slice_rows: int, row: Callable[[int], bytes] = encoded) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await answer_list(request, START, range(items), row, slice_rows)

    return handler


@pytest.mark.parametrize("items", [0, 1, 3, 4, 6, 7, 10])
async def test_list_of_any_length_is_one_whole_document(items: int) -> None:
    body, content_type, _ = await answer_of(listing(items, slice_rows=3))

    assert (orjson.loads(body), content_type) == (
        {"count": 9, "items": [{"n": number} for number in range(items)]},
        "application/json",
    )


@pytest.mark.parametrize(("items", "counted"), [(3, True), (4, False)], ids=["short", "long"])
async def test_short_list_is_counted_and_a_long_one_streamed(items: int, *, counted: bool) -> None:
    _, _, length = await answer_of(listing(items, slice_rows=3))

    assert (length is not None) is counted


async def test_long_list_lets_others_go_between_its_slices() -> None:
    turns: list[int] = []
    others: list[int] = []

    def row(item: int) -> bytes:
        if not item % 3:  # the first of a slice
            turns.append(len(others))
            asyncio.get_running_loop().call_soon(others.append, item)
        return encoded(item)

    await answer_of(listing(9, slice_rows=3, row=row))

    assert turns == [0, 1, 2]
