"""Facts about answers that a client may keep."""

from collections.abc import Mapping

import pytest
from aiohttp import ETag, web
from aiohttp.test_utils import TestClient, TestServer

from proxy.control_plane.fresh import answer_kept, tag_of

PIECES = (b'{"a":', b"1}")


async def asked(
    headers: Mapping[str, str], *, is_weak: bool = False, method: str = "GET"
) -> tuple[int, bytes, str]:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await answer_kept(request, ETag("t", is_weak=is_weak), iter(PIECES))

    app = web.Application()
    app.router.add_get("/", handler)
    async with (
        TestClient(TestServer(app)) as client,
        client.request(method, "/", headers=headers) as answer,
    ):
        assert answer.headers["Cache-Control"] == "private, no-cache"
        return answer.status, await answer.read(), answer.headers["ETag"]


async def test_who_has_nothing_gets_it_all() -> None:
    assert await asked({}) == (200, b'{"a":1}', '"t"')


@pytest.mark.parametrize("said", ['"t"', 'W/"t"', '"a", W/"t"', "*"])
async def test_who_has_it_does_not_get_it_again(said: str) -> None:
    assert await asked({"If-None-Match": said}, is_weak=True) == (304, b"", 'W/"t"')


@pytest.mark.parametrize("said", ['"other"', 'W/"T"', "t", ""])
async def test_who_has_another_gets_it_all(said: str) -> None:
    assert await asked({"If-None-Match": said}) == (200, b'{"a":1}', '"t"')


async def test_head_has_the_tag_and_no_body() -> None:
    assert await asked({}, method="HEAD") == (200, b"", '"t"')


async def test_tag_is_of_the_bytes_however_they_are_cut() -> None:
    assert await tag_of(PIECES) == await tag_of([b"".join(PIECES)])
    assert await tag_of(PIECES) != await tag_of([])
